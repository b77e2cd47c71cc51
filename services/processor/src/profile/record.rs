//! The profile's record, as the sink stores it.

use tributary_contracts::framing::Encoder;
use tributary_contracts::keys;
use tributary_contracts::wire::{Profile, ProfileIdentifier};
use tributary_core::ids::ProfileId;
use tributary_core::profile::Fold;

use crate::runtime::stage::{Broken, Outputs};

/// Topic of profiles.
const TOPIC: &str = "profiles";

/// Sends records, reusing its buffer.
#[derive(Debug)]
pub(super) struct Records {
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::new("profile"),
            buffer: Vec::new(),
        }
    }

    /// Sends what a profile is now.
    pub(super) fn send(
        &mut self,
        workspace: &str,
        profile_id: ProfileId,
        fold: &Fold,
        revision: i64,
        gone: bool,
        outputs: &mut dyn Outputs,
    ) -> Result<(), Broken> {
        let traits = traits(fold);
        let record = Profile {
            workspace,
            profile_id,
            identifiers: fold
                .identifiers()
                .map(|identifier| ProfileIdentifier {
                    r#type: identifier.r#type,
                    value: identifier.value,
                })
                .collect(),
            traits: &traits,
            first_seen: fold.first_seen(),
            last_seen: fold.last_seen(),
            sessions: fold.sessions(),
            touchpoints: fold.touchpoints(),
            orders: fold.orders(),
            revenue: fold.revenue().collect(),
            channels: fold.channels().collect(),
            revision,
            gone,
        };
        self.buffer.clear();
        self.encoder
            .encode(&record, &mut self.buffer)
            .map_err(|error| Broken(format!("encode a profile: {error}")))?;
        let key = keys::joined(&[workspace, &profile_id.to_string()]);
        outputs.send(
            TOPIC,
            keys::partition(&key, outputs.partitions(TOPIC)),
            &key,
            &self.buffer,
        )
    }
}

/// A JSON object, by name.
fn traits(fold: &Fold) -> String {
    let mut object = String::from("{");
    for (name, value) in fold.traits() {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&serde_json::Value::from(name).to_string());
        object.push(':');
        object.push_str(value);
    }
    object.push('}');
    object
}
