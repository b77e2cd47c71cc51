//! Child processes that end with their parent, however that ends.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Prepares a command so that its process is killed when the parent is gone, also after `kill -9`, and is out of
/// reach of the terminal's Ctrl-C, so that the parent decides when it stops.
///
/// The kernel kills the child when the *thread* that spawned it ends: spawn it from the main thread, or from one
/// that lives as long as the child should.
pub fn bind_to_parent(command: &mut Command) -> &mut Command {
    let parent = std::process::id();
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec and calls nothing but async-signal-safe system calls.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The parent may have died before the call above: then nobody would ever kill this process.
            if libc::getppid().cast_unsigned() != parent {
                return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        })
    }
}

/// Asks a process that we spawned and have not waited for to stop.
pub fn terminate(pid: u32) {
    // SAFETY: sends a signal and touches no memory.
    unsafe {
        libc::kill(pid.cast_signed(), libc::SIGTERM);
    }
}
