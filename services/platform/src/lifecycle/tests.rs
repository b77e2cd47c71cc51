use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

const BUDGET: Duration = Duration::from_secs(20);

fn fine() -> Result<(), std::io::Error> {
    Ok(())
}

#[tokio::test]
async fn components_stop_in_the_order_of_their_declaration() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut lifecycle = Lifecycle::default();
    for name in ["intake", "work", "store"] {
        let scope = lifecycle.component(name, BUDGET);
        let (order, shutdown) = (Arc::clone(&order), scope.shutdown());
        scope.spawn("task", async move {
            shutdown.requested().await;
            order.lock().unwrap().push(name);
            fine()
        });
    }
    assert!(lifecycle.stop().await.is_empty());
    assert_eq!(*order.lock().unwrap(), ["intake", "work", "store"]);
}

#[tokio::test]
async fn a_failing_task_a_failing_thread_and_a_panic_are_reported_with_their_names() {
    let mut lifecycle = Lifecycle::default();
    let scope = lifecycle.component("work", BUDGET);
    scope.spawn("task", async { Err::<(), _>("no luck") });
    assert_eq!(lifecycle.failure().await.to_string(), "work: task: no luck");
    scope
        .spawn_thread("thread", || Err::<(), _>("no luck either"))
        .unwrap();
    assert_eq!(
        lifecycle.failure().await.to_string(),
        "work: thread: no luck either"
    );
    scope.spawn("panic", async {
        if BUDGET.is_zero() {
            fine()
        } else {
            panic!("on purpose")
        }
    });
    let failure = lifecycle.failure().await;
    assert_eq!(
        (failure.component, failure.task.as_str()),
        ("work", "panic")
    );
    assert!(lifecycle.stop().await.is_empty());
}

#[tokio::test]
async fn what_outlasts_its_budget_is_aborted_and_named() {
    /// Tells that the task was dropped.
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let mut lifecycle = Lifecycle::default();
    let scope = lifecycle.component("work", Duration::from_millis(1));
    let witness = Dropped(Arc::clone(&dropped));
    scope.spawn("deaf", async move {
        let _witness = witness;
        std::future::pending::<()>().await;
        fine()
    });
    assert_eq!(lifecycle.stop().await, ["work: deaf"]);
    while !dropped.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_is_triggered_when_nobody_is_left_to_trigger_it() {
    let (trigger, shutdown) = shutdown();
    assert!(!shutdown.is_requested());
    drop(trigger);
    shutdown.requested().await;
    assert!(shutdown.is_requested());
}
