//! Payments, as docs/sources/payment.md has them.

use super::json;
use crate::{Cast, cast::Customer, random::Random};
use custos_event::Timestamp;
use serde::Serialize;

/// From this amount on the payer is asked for more; in the currency's smallest unit.
pub(crate) const STEP_UP_FROM: u64 = 50_000;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) amount: u64,
    pub(crate) currency: &'static str,
    pub(crate) merchant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminal: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) card: Card,
    pub(crate) country: &'static str,
    pub(crate) result: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) step_up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) three_ds: Option<ThreeDs>,
    pub(crate) tls_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<Payer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) token: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Payer {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What 3-D Secure said of the payer.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ThreeDs {
    pub(crate) status: &'static str,
    pub(crate) eci: &'static str,
}

/// The payer proved who they are.
pub(crate) const PROVED: ThreeDs = ThreeDs { status: "Y", eci: "05" };

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    payment: &'a Payment,
}

impl Payment {
    pub(crate) fn line(&self, time: Timestamp) -> String {
        json(&Line { time, payment: self })
    }

    pub(crate) fn declined(mut self, reason: &'static str) -> Self {
        self.result = "declined";
        self.reason = reason;
        self
    }
}

/// A payment that some customer makes in a shop of the network, or at a till; nothing is wrong with it.
pub(crate) fn ordinary(random: &mut Random, cast: &Cast) -> Payment {
    let customer = &cast.customers[random.index(cast.customers.len())];
    if random.once_in(3) { at_till(random, customer) } else { online(random, customer) }
}

/// The customer sits at home, at an address that only they have.
pub(crate) fn online(random: &mut Random, customer: &Customer) -> Payment {
    let amount = amount(random);
    let step_up = amount >= STEP_UP_FROM || random.once_in(5);
    Payment {
        id: id(random),
        kind: if random.once_in(25) { "refund" } else { "authorization" },
        amount,
        currency: currency(customer.country),
        merchant: merchant(random),
        terminal: None,
        method: "card",
        card: Card { token: customer.card.clone() },
        country: customer.country,
        result: "approved",
        reason: "",
        step_up,
        three_ds: step_up.then_some(PROVED),
        tls_version: "TLSv1.3",
        customer: Some(Payer { id: customer.id.clone(), name: customer.name.clone() }),
        ip: Some(customer.ip.clone()),
    }
}

/// The customer stands in a shop: no address, and the PIN is the step-up.
fn at_till(random: &mut Random, customer: &Customer) -> Payment {
    let till = random.below(240);
    Payment {
        merchant: format!("m-{:04}", till / 4),
        terminal: Some(format!("t-{till:03}")),
        step_up: true,
        three_ds: None,
        tls_version: "TLSv1.2",
        customer: None,
        ip: None,
        ..online(random, customer)
    }
}

/// Mostly small, rarely more than a thousand.
fn amount(random: &mut Random) -> u64 {
    let most = random.one_of(&[2_000, 4_000, 4_000, 8_000, 8_000, 20_000, 60_000, 240_000]);
    150 + random.below(most)
}

pub(crate) fn id(random: &mut Random) -> String {
    format!("pay_{}", random.hex(14))
}

pub(crate) fn merchant(random: &mut Random) -> String {
    format!("m-{:04}", 60 + random.below(440))
}

pub(crate) fn currency(country: &str) -> &'static str {
    match country {
        "CN" => "CNY",
        "US" => "USD",
        "GB" => "GBP",
        "CH" => "CHF",
        _ => "EUR",
    }
}
