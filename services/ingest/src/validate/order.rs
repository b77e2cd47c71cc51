//! Orders, as Segment's ecommerce specification (version 2) states them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_contracts::wire::OrderKind;
use tributary_core::money::Amount;

use super::strict;
use crate::lenient::Text;
use crate::refusal::{Reason, Refusal};

/// What an order event says of its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order<'a> {
    pub(crate) kind: OrderKind,
    /// Empty where none was sent.
    pub(crate) order_id: Cow<'a, str>,
    /// Empty where none was sent.
    pub(crate) currency: Cow<'a, str>,
    pub(crate) total: Option<Amount>,
    pub(crate) margin: Option<Amount>,
    pub(crate) lines: Vec<Line<'a>>,
}

/// A product of an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) product_id: Cow<'a, str>,
    pub(crate) sku: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) category: Cow<'a, str>,
    pub(crate) brand: Cow<'a, str>,
    pub(crate) variant: Cow<'a, str>,
    pub(crate) coupon: Cow<'a, str>,
    pub(crate) quantity: Amount,
    pub(crate) price: Option<Amount>,
}

/// What happened to an order by the event's name, exactly as the specification spells it.
pub(super) fn kind(event: &str) -> Option<OrderKind> {
    match event {
        "Order Completed" => Some(OrderKind::Placed),
        "Order Refunded" => Some(OrderKind::Refunded),
        "Order Cancelled" => Some(OrderKind::Cancelled),
        _ => None,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Properties<'a> {
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    currency: Option<&'a RawValue>,
    #[serde(borrow)]
    total: Option<&'a RawValue>,
    #[serde(borrow)]
    revenue: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    margin: Option<&'a RawValue>,
    #[serde(borrow)]
    products: Option<Vec<Product<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Product<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    #[serde(borrow)]
    sku: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    brand: Text<'a>,
    #[serde(borrow)]
    variant: Text<'a>,
    #[serde(borrow)]
    coupon: Text<'a>,
    #[serde(borrow)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
}

/// Bytes of an order id: it is part of a key.
const LONGEST_ID: usize = 512;

/// Reads the order of an order event from its properties.
pub(super) fn order(kind: OrderKind, properties: &str) -> Result<Order<'_>, Refusal> {
    let properties = if properties.is_empty() {
        "{}"
    } else {
        properties
    };
    let properties: Properties<'_> = serde_json::from_str(properties).map_err(|_| {
        Refusal::invalid(
            "properties",
            "cannot be read: `products` must be a list of objects, and no field may stand twice",
        )
    })?;
    let order_id = order_id(kind, properties.order_id)?;
    let currency = currency(properties.currency)?;
    let stated = [
        ("properties.total", properties.total),
        ("properties.revenue", properties.revenue),
        ("properties.value", properties.value),
    ];
    let mut total = None;
    for (field, raw) in stated {
        if total.is_none() {
            total = not_negative(strict::amount(raw, || field.into())?, field)?;
        }
    }
    let margin = strict::amount(properties.margin, || "properties.margin".into())?;
    let lines = properties
        .products
        .unwrap_or_default()
        .into_iter()
        .enumerate();
    let lines = lines
        .map(|(index, product)| line(index, product))
        .collect::<Result<Vec<_>, _>>()?;
    not_absurd(&lines)?;
    Ok(Order {
        kind,
        order_id,
        currency,
        total,
        margin,
        lines,
    })
}

fn order_id(kind: OrderKind, id: Option<&RawValue>) -> Result<Cow<'_, str>, Refusal> {
    const FIELD: &str = "properties.order_id";
    let id = strict::optional(id, FIELD)?.unwrap_or_default();
    match &*id {
        "" if kind != OrderKind::Placed => Err(Refusal::missing(
            FIELD,
            "is missing: a refund or cancellation names the order that it is of",
        )),
        id if id.len() > LONGEST_ID => Err(Refusal::invalid(FIELD, "must have at most 512 bytes")),
        id if id.contains('\0') => Err(Refusal::invalid(FIELD, "must not hold the character NUL")),
        _ => Ok(id),
    }
}

pub(super) fn currency(code: Option<&RawValue>) -> Result<Cow<'_, str>, Refusal> {
    const FIELD: &str = "properties.currency";
    let code = strict::optional(code, FIELD)?.unwrap_or_default();
    let trimmed = code.trim();
    if trimmed.is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    if trimmed.len() != 3 || !trimmed.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Refusal::invalid(
            FIELD,
            "must be a code of ISO 4217 such as \"EUR\"",
        ));
    }
    let plain =
        trimmed.len() == code.len() && trimmed.bytes().all(|byte| byte.is_ascii_uppercase());
    Ok(if plain {
        code
    } else {
        Cow::Owned(trimmed.to_ascii_uppercase())
    })
}

pub(super) fn not_negative(
    amount: Option<Amount>,
    field: &'static str,
) -> Result<Option<Amount>, Refusal> {
    match amount {
        Some(amount) if amount < Amount::ZERO => {
            let message = "must not be negative: send what comes back as an event of its own, an order's as Order Refunded";
            Err(Refusal::new(Reason::InvalidAmount, field, message))
        }
        amount => Ok(amount),
    }
}

/// What lines come to is counted by product: together it must be an amount.
fn not_absurd(lines: &[Line<'_>]) -> Result<(), Refusal> {
    let amounts = lines.iter().filter_map(|line| {
        let amount = line.price?.times(line.quantity);
        Some(amount.max(-amount))
    });
    if amounts.sum::<Amount>() > Amount::LIMIT {
        let message = "come to more than 1000000000000: mend their quantities and prices";
        return Err(Refusal::new(
            Reason::InvalidAmount,
            "properties.products",
            message,
        ));
    }
    Ok(())
}

fn line(index: usize, product: Product<'_>) -> Result<Line<'_>, Refusal> {
    let field = |name: &str| Cow::Owned(format!("properties.products[{index}].{name}"));
    let quantity = strict::amount(product.quantity, || field("quantity"))?;
    let price = strict::amount(product.price, || field("price"))?;
    let sku = product.sku.0;
    let product_id = if product.product_id.is_empty() {
        sku.clone()
    } else {
        product.product_id.0
    };
    if product_id.len() > LONGEST_ID || product_id.contains('\0') {
        let message = "must have at most 512 bytes, and not hold the character NUL";
        return Err(Refusal::invalid(field("product_id"), message));
    }
    Ok(Line {
        product_id,
        sku,
        name: product.name.0,
        category: product.category.0,
        brand: product.brand.0,
        variant: product.variant.0,
        coupon: product.coupon.0,
        quantity: quantity.unwrap_or(Amount::from_units(1)),
        price,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(properties: &str) -> Result<String, String> {
        let order = order(OrderKind::Placed, properties);
        order
            .map(|o| o.total.map_or_else(String::new, |total| total.to_string()))
            .map_err(|refusal| refusal.field.into_owned())
    }

    #[test]
    fn the_amount_is_the_total_else_the_revenue_else_the_value() {
        for (properties, expected) in [
            (r#"{"total":30,"revenue":25,"value":20}"#, Ok("30")),
            (r#"{"total":null,"revenue":"25.10","value":20}"#, Ok("25.1")),
            (r#"{"total":"","value":20}"#, Ok("20")),
            (r#"{"total":0,"revenue":25}"#, Ok("0")),
            ("{}", Ok("")),
            ("", Ok("")),
            (r#"{"total":"30 EUR"}"#, Err("properties.total")),
            (r#"{"total":-1}"#, Err("properties.total")),
            (r#"{"revenue":true}"#, Err("properties.revenue")),
            (
                r#"{"products":[{"price":1},{"price":"x"}]}"#,
                Err("properties.products[1].price"),
            ),
            (
                r#"{"products":[{"quantity":{}}]}"#,
                Err("properties.products[0].quantity"),
            ),
            (r#"{"margin":"x"}"#, Err("properties.margin")),
            (
                r#"{"products":[{"price":1e12,"quantity":0.5},{"price":-1e12,"quantity":0.6}]}"#,
                Err("properties.products"),
            ),
            (
                r#"{"products":[{"sku":"a\u0000b"}]}"#,
                Err("properties.products[0].product_id"),
            ),
            (r#"{"products":7}"#, Err("properties")),
            (r#"{"currency":"euro"}"#, Err("properties.currency")),
            (r#"{"currency":["EUR"]}"#, Err("properties.currency")),
            (r#"{"currency":978}"#, Err("properties.currency")),
            (r#"{"currency":null,"total":1}"#, Ok("1")),
            (r#"{"order_id":true}"#, Err("properties.order_id")),
            (r#"{"order_id":{"id":"o"}}"#, Err("properties.order_id")),
            (r#"{"order_id":"a\u0000b"}"#, Err("properties.order_id")),
        ] {
            assert_eq!(
                total(properties),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{properties}"
            );
        }
    }

    #[test]
    fn a_refund_or_cancellation_names_its_order() {
        for (kind, id) in [
            (OrderKind::Refunded, "{}"),
            (OrderKind::Cancelled, r#"{"order_id":""}"#),
        ] {
            assert_eq!(
                order(kind, id).unwrap_err().field,
                "properties.order_id",
                "{kind:?}"
            );
            let id = "12345678901234567890123";
            let by_number = format!(r#"{{"order_id":{id}}}"#);
            assert_eq!(order(kind, &by_number).unwrap().order_id, id);
        }
    }

    #[test]
    fn lines_are_taken_from_the_products() {
        let order = order(
            OrderKind::Placed,
            r#"{"order_id":"o","currency":"usd","products":[
                {"product_id":"p","sku":"s","name":"Shoe","category":"c","brand":"b","variant":"v","coupon":"x","quantity":2,"price":"9.99"},
                {"sku":5}]}"#,
        )
        .unwrap();
        assert_eq!((&*order.order_id, &*order.currency), ("o", "USD"));
        let line = &order.lines[0];
        assert_eq!(
            (&*line.product_id, &*line.sku, &*line.name, &*line.variant),
            ("p", "s", "Shoe", "v")
        );
        assert_eq!(
            (line.quantity, line.price),
            (
                Amount::from_units(2),
                Some(Amount::from_millionths(9_990_000))
            )
        );
        let line = &order.lines[1];
        assert_eq!(
            (&*line.product_id, line.quantity, line.price),
            ("5", Amount::from_units(1), None)
        );
    }
}
