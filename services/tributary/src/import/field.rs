//! The parts of an event that a mapping can fill, and where they stand in Segment's JSON.

use serde::Deserialize;
use tributary_core::identifier::IdentifierType;

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// As text, also where JSON has a number.
    Text,
    /// As an exact decimal number.
    Number,
    /// `true`, `yes`, `1` or `false`, `no`, `0`.
    Boolean,
    /// By the mapping's date formats; becomes an ISO time.
    Date,
    /// As it stands: CSV's values are texts, JSON's what they are.
    #[serde(skip)]
    AsIs,
}

impl Kind {
    /// As the mapping writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Date => "date",
            Kind::AsIs => "it stands",
        }
    }
}

/// Where a value stands in the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An identifier, wherever Segment's API wants it.
    Identifier(IdentifierType),
    /// The time of the event.
    Timestamp,
    /// The name of a track, a page or a screen.
    Event,
    /// A key, or a key within keys.
    Path(Vec<String>),
    /// A key of the trait object, which stands elsewhere in an identify than in other calls; none is the whole object.
    Trait(Option<String>),
    /// A key of the order's only product.
    Product(&'static str),
}

impl Place {
    /// Whether it tells who the customer is.
    pub(super) fn is_identifier(&self) -> bool {
        matches!(self, Place::Identifier(_))
    }

    /// Whether it is a whole object, into which others put keys.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Place::Trait(key) => key.is_none(),
            Place::Path(path) => path.len() == 1 && OBJECTS.contains(&path[0].as_str()),
            _ => false,
        }
    }
}

/// A field that exists.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it stands.
    pub(super) place: Place,
    /// How it is read unless the mapping says otherwise.
    pub(super) kind: Kind,
    /// Whether a row without it is rejected unless the mapping says otherwise.
    pub(super) required: bool,
}

/// Fields of the order, in `properties`, and those whose absence would change a sum.
const ORDER: [(&str, Kind, bool); 8] = [
    ("order_id", Kind::Text, true),
    ("total", Kind::Number, true),
    ("revenue", Kind::Number, true),
    ("value", Kind::Number, true),
    ("margin", Kind::Number, false),
    ("currency", Kind::Text, false),
    ("coupon", Kind::Text, false),
    ("products", Kind::AsIs, false),
];

const PRODUCT: [(&str, &str, Kind); 8] = [
    ("product_id", "product_id", Kind::Text),
    ("sku", "sku", Kind::Text),
    ("product_name", "name", Kind::Text),
    ("category", "category", Kind::Text),
    ("brand", "brand", Kind::Text),
    ("variant", "variant", Kind::Text),
    ("price", "price", Kind::Number),
    ("quantity", "quantity", Kind::Number),
];

const OBJECTS: [&str; 3] = ["properties", "traits", "context"];

/// The field of that name. A type of identifiers that a configuration adds is one, unless another is called the same.
pub(super) fn named(name: &str) -> Option<Known> {
    let known = |place, kind, required| {
        Some(Known {
            place,
            kind,
            required,
        })
    };
    let path = |steps: &[&str]| Place::Path(steps.iter().map(|step| (*step).to_owned()).collect());
    if let Some((name, kind, required)) = ORDER.iter().find(|(order, ..)| *order == name) {
        return known(path(&["properties", name]), *kind, *required);
    }
    if let Some((_, key, kind)) = PRODUCT.iter().find(|(product, ..)| *product == name) {
        return known(Place::Product(key), *kind, false);
    }
    match name {
        "timestamp" => known(Place::Timestamp, Kind::Date, true),
        "event" => known(Place::Event, Kind::Text, true),
        "store" => known(path(&["context", "store"]), Kind::Text, false),
        "group_id" => known(path(&["groupId"]), Kind::Text, true),
        "previous_id" => known(path(&["previousId"]), Kind::Text, true),
        "traits" => known(Place::Trait(None), Kind::AsIs, false),
        "properties" | "context" => known(path(&[name]), Kind::AsIs, false),
        name if let Some(r#type) = IdentifierType::named(name) => {
            known(Place::Identifier(r#type), Kind::Text, false)
        }
        _ => match name.split_once('.')? {
            (_, "") => None,
            ("traits", key) => known(Place::Trait(Some(key.to_owned())), Kind::AsIs, false),
            (object, key) if OBJECTS.contains(&object) => {
                // Only context has objects within objects that mean something: campaign, device, page.
                let steps: Vec<&str> = match object {
                    "context" => std::iter::once(object).chain(key.split('.')).collect(),
                    _ => vec![object, key],
                };
                known(path(&steps), Kind::AsIs, false)
            }
            _ => None,
        },
    }
}

/// Names of the identifiers, with those that the configuration adds.
pub(super) fn identifiers() -> Vec<&'static str> {
    IdentifierType::all().map(IdentifierType::name).collect()
}

/// Names of all fields, as the error about an unknown one lists them.
pub(super) fn all() -> Vec<String> {
    let named = identifiers()
        .into_iter()
        .chain(["timestamp", "event", "store"]);
    let order = ORDER
        .iter()
        .map(|(name, ..)| *name)
        .chain(PRODUCT.iter().map(|(name, ..)| *name));
    let objects = OBJECTS
        .iter()
        .flat_map(|object| [(*object).to_owned(), format!("{object}.<name>")]);
    named
        .chain(order)
        .chain(["group_id", "previous_id"])
        .map(str::to_owned)
        .chain(objects)
        .collect()
}
