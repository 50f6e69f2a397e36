//! What a deal is about before anything happens to it.

use dealog_events::{CampaignId, CustomerId, Timestamp};

use crate::demo::{
    company::Company,
    dice::{About, Dice},
    people::Seller,
    pipelines::Funnel,
};

/// What is offered, and for how much as a rule, in whole euros.
const PRODUCTS: [(&str, u32); 9] = [
    ("Access control", 12_000),
    ("Sensor network", 28_000),
    ("Control room", 90_000),
    ("Energy metering", 18_000),
    ("Maintenance contract", 7_000),
    ("Retrofit", 45_000),
    ("Pilot installation", 4_500),
    ("Software licences", 9_500),
    ("Operator training", 3_000),
];
/// What is renewed.
const RENEWED: [(&str, u32); 3] =
    [("Maintenance renewal", 8_000), ("Licence renewal", 10_500), ("Support renewal", 6_000)];

const RENEWALS_PERCENT: u32 = 22;

/// Where a deal came from, out of 100 how many of each, and how much likelier than usual it is won, in percent points.
const SOURCES: [(&str, u32, i32); 5] =
    [("Web", 34, 0), ("Referral", 22, 10), ("Trade fair", 14, -2), ("Cold call", 18, -11), ("Partner", 12, 5)];

/// Those whom a campaign reaches come from the web or a trade fair.
const CAMPAIGN_SOURCES: [&str; 2] = ["Web", "Trade fair"];

/// From this amount on, in whole euros, deals are harder to win.
const LARGE_EUROS: u32 = 60_000;

/// The beginning of a deal.
pub(super) struct Lead<'a> {
    pub(super) begins: Timestamp,
    pub(super) funnel: &'a Funnel,
    pub(super) product: &'static str,
    /// What a first guess comes near.
    pub(super) euros: u32,
    pub(super) customer: Option<Party>,
    pub(super) source: &'static str,
    pub(super) campaign: Option<CampaignId>,
    pub(super) owner: Option<&'a Seller>,
    /// How likely it is won, in percent.
    pub(super) win_percent: u32,
}

/// To whom something is sold.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) id: CustomerId,
    pub(super) name: String,
}

impl<'a> Lead<'a> {
    /// The deal number `index`. It depends on nothing but the company and this number, so that a duplicate can ask for the
    /// deal that it repeats.
    pub(super) fn new(company: &'a Company, index: u32) -> Self {
        let mut dice = Dice::new(company.sample.seed, About::Lead, index);
        let begins = company.calendar.beginning(index, company.sample.size.deals, &mut dice);
        let renewal = dice.percent(RENEWALS_PERCENT);
        let (funnel, products) =
            if renewal { (&company.renewals, &RENEWED[..]) } else { (&company.new_business, &PRODUCTS[..]) };
        let (product, usual_euros) = dice.pick(products).copied().unwrap_or_default();
        // Two throws: most deals are near the usual, a few far above it.
        let euros = usual_euros * dice.within(40, 160) / 100 * dice.within(60, 190) / 100;
        let (source, _, source_points) =
            SOURCES.get(dice.weighted(&SOURCES.map(|source| source.1))).copied().unwrap_or_default();

        // The older a customer, the more it buys.
        let known = company.customers_before(begins);
        let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let place = dice.below(count).min(dice.below(count)) as usize;
        let customer = known.get(place).map(|customer| Party { id: customer.id, name: customer.name.clone() });

        let campaigns = company.campaigns_at(begins);
        let reached = CAMPAIGN_SOURCES.contains(&source) && !renewal && dice.percent(60);
        let campaign = dice.pick(&campaigns).copied().filter(|_| reached);
        let owner = dice.pick(&company.people.takers(begins)).copied();

        let usual = if renewal { 57 } else { 37 };
        let size = if euros >= LARGE_EUROS { -9 } else { 0 };
        let points = usual + source_points + size + owner.map_or(0, |owner| owner.win_points);
        let win_percent = u32::try_from(points).unwrap_or(0);
        Self { begins, funnel, product, euros, customer, source, campaign, owner, win_percent }
    }

    /// Another deal about the same thing: who entered it did not see the first.
    pub(super) fn repeating(self, original: Lead<'a>) -> Self {
        let Lead { begins, funnel, product, euros, customer, .. } = original;
        // Both may begin on the same day; the customer is known when the first does.
        Self { begins: self.begins.max(begins), funnel, product, euros, customer, ..self }
    }

    pub(super) fn title(&self) -> String {
        match &self.customer {
            Some(customer) => format!("{} for {}", self.product, customer.name),
            None => self.product.to_owned(),
        }
    }
}

/// The names of all sources.
pub(super) fn sources() -> [&'static str; 5] {
    SOURCES.map(|source| source.0)
}
