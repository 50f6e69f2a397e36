//! To whom the sample company sells. The names are put together from words that no real firm would put together.

use std::collections::BTreeMap;

use dealog_domain::{Command, Patch, customer};
use dealog_events::{Actor, CustomerId, FieldValue, Invalid, StreamId, Timestamp, UserId};

use super::{
    Sample, Step,
    calendar::{Calendar, SPAN_DAYS, minutes_later},
    dice::{About, Dice},
    pipelines::{EMPLOYEES, EMPLOYEES_DAY},
};

const MANNERS: [&str; 20] = [
    "Unhurried",
    "Whistling",
    "Lopsided",
    "Tiptoe",
    "Sevenfold",
    "Drowsy",
    "Left-Handed",
    "Hopscotch",
    "Bashful",
    "Roundabout",
    "Humming",
    "Sideways",
    "Buttoned",
    "Porridge",
    "Daydream",
    "Somersault",
    "Muffled",
    "Pocket",
    "Freckled",
    "Wobbling",
];
const THINGS: [&str; 31] = [
    "Otter",
    "Teaspoon",
    "Lantern",
    "Walrus",
    "Pinecone",
    "Turnip",
    "Kettle",
    "Puffin",
    "Mitten",
    "Marble",
    "Acorn",
    "Thimble",
    "Badger",
    "Radish",
    "Weathercock",
    "Snail",
    "Umbrella",
    "Hedgehog",
    "Doorbell",
    "Pebble",
    "Moth",
    "Ladle",
    "Cuckoo",
    "Bramble",
    "Parsnip",
    "Stork",
    "Accordion",
    "Newt",
    "Bonnet",
    "Beetle",
    "Dumpling",
];
/// A sector, and what firms of it call themselves.
const SECTORS: [(&str, &str); 8] = [
    ("Manufacturing", "Works"),
    ("Logistics", "Haulage"),
    ("Food", "Foods"),
    ("Construction", "Builders"),
    ("Energy", "Energy"),
    ("Retail", "Stores"),
    ("Health", "Clinics"),
    ("Public", "Council"),
];

/// Of 100 customers, those whom the company knew before it had Dealog.
const KNOWN_BEFORE_PERCENT: u32 = 40;
/// No new customers in the last days, so that each can still buy something.
const LAST_NEW_DAY: u32 = SPAN_DAYS - 40;

/// Someone to sell to.
pub(super) struct Customer {
    index: u32,
    pub(super) id: CustomerId,
    pub(super) name: String,
    sector: &'static str,
    /// From when on the log has it.
    pub(super) since: Timestamp,
}

/// All customers in the order in which they become known.
pub(super) fn customers(sample: &Sample, calendar: &Calendar, founded: Timestamp) -> Vec<Customer> {
    let count = sample.size.customers;
    let known_before = count * KNOWN_BEFORE_PERCENT / 100;
    let shift = Dice::new(sample.seed, About::Customer, u32::MAX).below(1_000);
    let mut customers: Vec<_> = (0..count)
        .map(|index| {
            let mut dice = Dice::new(sample.seed, About::Customer, index);
            let (sector, trade) = dice.pick(&SECTORS).copied().unwrap_or_default();
            let since = if index < known_before {
                // Entered one after another, at six a minute.
                minutes_later(founded, index / 6).saturating_add_micros(i64::from(index % 6) * 10_000_000)
            } else {
                let newcomers = (count - known_before).max(1);
                calendar.in_working_hours((index - known_before) * LAST_NEW_DAY / newcomers + 1, &mut dice)
            };
            let id = CustomerId(sample.id(&format!("customer:{index}")));
            Customer { index, id, name: name(index, shift, trade), sector, since }
        })
        .collect();
    customers.sort_by_key(|customer| customer.since);
    customers
}

/// Unlike any other customer's: the two lists have no common factor, so the pairs repeat only after all of them.
fn name(index: u32, shift: u32, trade: &str) -> String {
    let place = (index + shift) as usize;
    let manner = MANNERS.iter().cycle().nth(place % MANNERS.len()).unwrap_or(&"");
    let thing = THINGS.iter().cycle().nth(place % THINGS.len()).unwrap_or(&"");
    let pairs = u32::try_from(MANNERS.len() * THINGS.len()).unwrap_or(u32::MAX);
    match index / pairs {
        0 => format!("{manner} {thing} {trade}"),
        more => format!("{manner} {thing} {trade} {}", more + 1),
    }
}

/// How they become known, and what becomes known of them.
pub(super) fn steps(
    sample: &Sample,
    calendar: &Calendar,
    customers: &[Customer],
    manager: UserId,
) -> Result<Vec<Step>, Invalid> {
    let mut steps = Vec::new();
    for known in customers {
        let mut dice = Dice::new(sample.seed, About::Customer, known.index);
        let register = customer::Register {
            kind: customer::CustomerKind::Organisation,
            name: known.name.parse()?,
            sector: if dice.percent(90) { Some(known.sector.parse()?) } else { None },
            fields: BTreeMap::new(),
        };
        steps.push(of_customer(sample, known, 0, known.since, manager, customer::Command::Register(register)));
        if dice.percent(4) {
            let now = calendar.in_working_hours(calendar.index_of(known.since) + dice.within(20, 300), &mut dice);
            let name = Some(format!("{} Group", known.name).parse()?);
            let change = customer::Change { name: name.into(), fields: BTreeMap::new() };
            steps.push(of_customer(sample, known, 1, now, manager, customer::Command::Change(change)));
        }
        if dice.percent(45) {
            let earliest = calendar.index_of(known.since).max(EMPLOYEES_DAY);
            let now = calendar.in_working_hours(earliest + dice.within(1, 200), &mut dice);
            let employees = i64::from(dice.within(2, 40) * dice.within(2, 40));
            let value = Patch::Set(FieldValue::Integer(employees));
            let change = customer::Change { name: Patch::Keep, fields: [(EMPLOYEES.parse()?, value)].into() };
            steps.push(of_customer(sample, known, 2, now, manager, customer::Command::Change(change)));
        }
    }
    Ok(steps)
}

fn of_customer(
    sample: &Sample,
    known: &Customer,
    number: u32,
    now: Timestamp,
    manager: UserId,
    command: customer::Command,
) -> Step {
    let name = format!("customer:{}:{number}", known.index);
    sample.step(name, Actor::User(manager), now, StreamId::Customer(known.id), Command::Customer(command))
}
