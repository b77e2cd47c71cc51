//! A source as the pipeline needs it: its configuration, its workspace's, and its counters.

use tributary_platform::config::{self, Config};

use crate::metrics::{EventMetrics, SourceMetrics};
use crate::normalise::identifiers::Forms;

/// Something that sends events.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) workspace: String,
    /// Empty: by the SDK's library.
    pub(crate) channel: String,
    pub(crate) order_namespace: String,
    /// Currency of amounts that come without one.
    pub(crate) currency: String,
    /// Into which its identifiers are brought.
    pub(crate) forms: Forms,
    /// Its times are taken as they are.
    pub(crate) historic: bool,
    /// All its events are passive.
    pub(crate) sync: bool,
    pub(crate) may_link: bool,
    /// None: any.
    allowed_origins: Option<Vec<String>>,
    pub(crate) metrics: SourceMetrics,
}

impl Source {
    pub(crate) fn new(config: &Config, source: &config::Source, metrics: &EventMetrics) -> Self {
        let workspace = config
            .workspace(&source.workspace)
            .unwrap_or(&config.workspace);
        let any = source.allowed_origins.iter().any(|origin| origin == "*");
        Self {
            name: source.name.clone(),
            workspace: source.workspace.clone(),
            channel: source.channel.clone(),
            order_namespace: source.order_namespace.clone(),
            currency: workspace.currency.clone(),
            forms: Forms::of(workspace),
            historic: source.historic,
            sync: source.sync,
            may_link: source.links,
            allowed_origins: (!any).then(|| source.allowed_origins.clone()),
            metrics: metrics.of(&source.workspace, &source.name),
        }
    }

    /// Whether pages of this origin may send with this source's keys.
    pub(crate) fn allows(&self, origin: &[u8]) -> bool {
        let Some(allowed) = &self.allowed_origins else {
            return true;
        };
        allowed
            .iter()
            .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin))
    }
}
