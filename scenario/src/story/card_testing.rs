//! Around noon stolen card numbers are tried in small amounts at one shop; what works is spent at once, through
//! a terminal that talks an old TLS and does not ask.

use super::attacker;
use crate::{
    Cast, Offset, Story, Topic,
    cast::card,
    form::payment::{self, Card, Payer, Payment, ThreeDs},
    script::Script,
};

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let (from, merchant) = (attacker(random, Story::CardTesting), payment::merchant(random));
    let customer = &cast.customers[random.index(cast.customers.len())];
    let payer = Payer { id: format!("c-{:06}", random.below(1_000_000)), name: "J. Smith".into() };
    let mut now = Offset::at(10, 40).plus_secs(random.between(0, 7_200));
    let mut good = Vec::new();
    for nth in 0..random.between(32, 60) {
        let random = &mut script.random;
        let token = card(random);
        let declined = nth % 12 != 11;
        let reason = random.one_of(&["do not honour", "invalid card", "expired card", "卡号无效"]);
        let tried = Payment {
            kind: "authorization",
            amount: 100 + random.below(200),
            merchant: merchant.clone(),
            terminal: None,
            card: Card { token: token.clone() },
            step_up: false,
            three_ds: None,
            customer: Some(payer.clone()),
            ip: Some(from.clone()),
            ..payment::online(random, customer)
        };
        if !declined {
            good.push(tried.clone());
        }
        let tried = if declined { tried.declined(reason) } else { tried };
        script.add(Topic::Payments, now, |time| tried.line(time));
        now = now.plus_millis(script.random.between(1_500, 6_000));
    }
    for tried in good {
        now = now.plus_secs(script.random.between(20, 60));
        let random = &mut script.random;
        let (id, amount) = (payment::id(random), 120_000 + random.below(200_000));
        let spent = Payment { id, amount, tls_version: "TLSv1.0", ..tried };
        script.add(Topic::Payments, now, |time| spent.line(time));
        // The second try goes through although the issuer had said no.
        let again = Payment {
            id: payment::id(&mut script.random),
            step_up: true,
            three_ds: Some(ThreeDs { status: "N", eci: "07" }),
            ..spent
        };
        script.add(Topic::Payments, now.plus_secs(11), |time| again.line(time));
    }
}
