//! The way of a deal through the stages, and its ends.

use chrono::Days;
use dealog_domain::{Patch, deal};
use dealog_events::{Invalid, Label, When};

use super::{changes::rounded, course::Course};
use crate::demo::{people::Seller, pipelines::Funnel};

/// Depths that a deal can get to, as stages of the longer pipeline.
const DEPTH_MAX: usize = 5;

/// How deep the deals are when they are won, and when they are lost.
const WON_AT: [u32; 6] = [0, 0, 2, 8, 20, 70];
const LOST_AT: [u32; 6] = [17, 22, 22, 22, 12, 5];
/// How deep those get that are forgotten.
const FORGOTTEN_AT: [u32; 6] = [35, 30, 20, 12, 3, 0];

/// The reasons that count, and how often each is given by those who never saw an offer and by those who did.
const LOSS_REASONS: [(&str, u32, u32); 5] =
    [("price", 8, 34), ("no_budget", 24, 12), ("competitor", 10, 32), ("timing", 22, 14), ("no_answer", 36, 8)];
const COMPETITORS: [&str; 4] = ["Umbrella & Newt", "Second Thimble", "Rival Dumpling", "Walrus Brothers"];
const LOSS_NOTES: [&str; 4] = [
    "They will look at it again next year.",
    "Our offer came late; the decision had been made.",
    "The person who wanted it has left.",
    "They asked for a discount that we could not give.",
];
const BACK_REASONS: [&str; 4] =
    ["The needs have changed", "Another person decides now", "The offer has to be made anew", "Moved too early"];
const WON_REOPENED: [&str; 2] = ["The contract was not signed after all", "Closed by mistake"];
const LOST_REOPENED: [&str; 4] =
    ["The budget came back", "They called again", "The competitor did not deliver", "Closed too early"];

/// In percent: moves that pass over a stage, and moves that are followed by one back.
const SKIP_PERCENT: u32 = 11;
const BACK_PERCENT: u32 = 7;
/// Of 1,000 stays in a stage, those that end with a slip.
const SLIPS_PER_MILLE: u32 = 14;
/// In percent: wins that are entered on a later day than that of the contract.
const SIGNED_BEFORE_PERCENT: u32 = 8;
/// Of 1,000 wins, those of which something is corrected later.
const CORRECTED_PER_MILLE: u32 = 15;
/// Of 1,000 moves, those that turn out to belong into the other pipeline.
const TRANSFER_PER_MILLE: u32 = 9;
/// Of 1,000 won and lost deals, those that are taken up again.
const WON_REOPENED_PER_MILLE: u32 = 18;
const LOST_REOPENED_PER_MILLE: u32 = 60;

impl<'a> Course<'a> {
    pub(super) fn go_and_win(&mut self) -> Result<(), Invalid> {
        self.pace_percent = self.pace() * 92 / 100;
        let depth = self.dice.weighted(&WON_AT);
        self.climb(depth)?;
        self.stay()?;
        self.win()?;
        if self.dice.per_mille(WON_REOPENED_PER_MILLE) {
            let days = self.dice.within(2, 25);
            self.wait_days(days);
            self.reopen(self.stage, &WON_REOPENED)?;
            self.stay()?;
            if self.dice.percent(70) { self.win()? } else { self.lose()? }
        }
        Ok(())
    }

    /// Deals that are lost in the end drag on before they are.
    pub(super) fn go_and_lose(&mut self) -> Result<(), Invalid> {
        self.pace_percent = self.pace() * 125 / 100;
        let depth = self.dice.weighted(&LOST_AT);
        self.climb(depth)?;
        self.stay()?;
        self.lose()?;
        if self.dice.per_mille(LOST_REOPENED_PER_MILLE) {
            let days = self.dice.within(15, 140);
            self.wait_days(days);
            let before = self.stage.saturating_sub(1);
            // A closed deal cannot be given what a stage asks for.
            let back = self.dice.percent(40) && self.has_all(&self.funnel.stage(before)?.required_fields);
            self.reopen(if back { before } else { self.stage }, &LOST_REOPENED)?;
            self.climb(DEPTH_MAX)?;
            self.stay()?;
            if self.dice.percent(50) { self.win()? } else { self.lose()? }
        }
        Ok(())
    }

    /// Half of those that nobody looks after are cleared away some day.
    pub(super) fn go_and_be_forgotten(&mut self) -> Result<(), Invalid> {
        let depth = self.dice.weighted(&FORGOTTEN_AT);
        self.climb(depth)?;
        if self.dice.percent(50) {
            let days = self.dice.within(150, 420);
            self.wait_days(days);
            self.lose_for("no_answer", None, None)?;
        }
        Ok(())
    }

    pub(super) fn turn_out_a_mistake(&mut self) -> Result<(), Invalid> {
        let days = self.dice.within(1, 9);
        self.wait_days(days);
        self.lose_for("error", None, None)
    }

    /// The other deal is in the log by then: it did not begin later, and was entered a working day after that at most.
    pub(super) fn turn_out_a_duplicate(&mut self, original: u32) -> Result<(), Invalid> {
        let days = self.dice.within(9, 25);
        self.wait_days(days);
        self.lose_for("duplicate", None, Some(original))
    }

    /// Gives the deal its first owner.
    pub(super) fn assign(&mut self, owner: Option<&'a Seller>) {
        if let Some(owner) = owner {
            self.change(deal::Change { owner: Patch::Set(owner.id), ..deal::Change::default() });
            self.owner = Some(owner);
        }
    }

    fn pace(&mut self) -> u32 {
        self.owner.map_or(100, |owner| owner.pace_percent)
    }

    /// From stage to stage, skipping some and coming back from some, as far as `depth`.
    fn climb(&mut self, depth: usize) -> Result<(), Invalid> {
        let (mut backs, mut transferred) = (0, false);
        while self.stage < stage_at(self.funnel, depth) {
            self.stay()?;
            if self.dice.per_mille(SLIPS_PER_MILLE) {
                self.slip()?;
            }
            if !transferred && self.dice.per_mille(TRANSFER_PER_MILLE) {
                transferred = true;
                self.transfer()?;
                continue;
            }
            let step = 1 + usize::from(self.dice.percent(SKIP_PERCENT));
            let to = (self.stage + step).min(stage_at(self.funnel, depth));
            self.move_to(to, None)?;
            if backs < 2 && self.dice.percent(BACK_PERCENT) {
                backs += 1;
                self.stay()?;
                let back = to.saturating_sub(1 + usize::from(self.dice.percent(25)));
                self.move_to(back, Some(&BACK_REASONS))?;
            }
        }
        Ok(())
    }

    /// A card is dragged too far, and taken back.
    fn slip(&mut self) -> Result<(), Invalid> {
        let to = self.stage + 2;
        let asked = self.funnel.required_on_the_way(Some(self.stage), to);
        // Who leaves may be gone in between, and no deal waits for that.
        if to > self.funnel.last() || !self.has_all(&asked) || self.owned_by_leaver() {
            return Ok(());
        }
        let stage = self.funnel.stage(to)?.slug.clone();
        self.enter(deal::Command::Move(deal::Move { stage, reason: None }));
        self.wait_minutes(1, 20);
        let reason = if self.dice.percent(30) { Some("Dragged too far".parse()?) } else { None };
        self.enter(deal::Command::Undo(deal::Undo { command: None, reason }));
        Ok(())
    }

    /// Some days pass in the present stage, and something may be changed meanwhile.
    fn stay(&mut self) -> Result<(), Invalid> {
        let usual = self.funnel.usual_days.get(self.stage).copied().unwrap_or(7);
        let (often, seldom) = (self.dice.within(35, 165), self.dice.within(45, 155));
        let days = (usual * self.pace_percent / 100 * often / 100 * seldom / 100).max(1);
        if days > 1 && self.dice.percent(45) {
            let first = self.dice.within(1, days - 1);
            self.wait_days(first);
            self.make_some_change()?;
            self.wait_days(days - first);
        } else {
            self.wait_days(days);
        }
        self.put_off();
        Ok(())
    }

    fn move_to(&mut self, stage: usize, reasons: Option<&[&str]>) -> Result<(), Invalid> {
        let reason = match reasons {
            Some(reasons) if self.dice.percent(80) => {
                self.dice.pick(reasons).map(|reason| reason.parse()).transpose()?
            }
            _ => None,
        };
        let to = self.funnel.stage(stage)?;
        if stage != self.stage {
            self.fill_in(&self.funnel.required_on_the_way(Some(self.stage), stage))?;
            self.stage = stage;
            self.enter(deal::Command::Move(deal::Move { stage: to.slug.clone(), reason }));
        }
        Ok(())
    }

    fn transfer(&mut self) -> Result<(), Invalid> {
        let other = self.company.other(self.funnel);
        let stage = stage_at(other, depth_of(self.funnel, self.stage));
        let to = other.stage(stage)?;
        self.fill_in(&other.required_on_the_way(None, stage))?;
        (self.funnel, self.stage) = (other, stage);
        self.enter(deal::Command::Transfer(deal::Transfer { pipeline: other.id, stage: Some(to.slug.clone()) }));
        Ok(())
    }

    fn win(&mut self) -> Result<(), Invalid> {
        self.fill_in(&self.funnel.required_to_win())?;
        let agreed = self.euros.unwrap_or_else(|| self.guess_euros());
        let to = if self.dice.percent(25) { rounded(agreed * self.dice.within(82, 106) / 100) } else { agreed };
        let amount = if self.euros == Some(to) { None } else { Some(self.money(to)?) };
        self.euros = Some(to);
        let contract = if self.dice.percent(80) { Some(self.contract()?) } else { None };
        let closed_at = self.signed_before();
        self.enter(deal::Command::Win(deal::Win { amount, closed_at, contract }));
        self.open = false;
        if self.dice.per_mille(CORRECTED_PER_MILLE) {
            let days = self.dice.within(1, 9);
            self.wait_days(days);
            let contract = Patch::Set(format!("{}-A", self.contract()?).parse()?);
            let correction = deal::CorrectClosing { contract, ..deal::CorrectClosing::default() };
            self.enter(deal::Command::CorrectClosing(correction));
        }
        Ok(())
    }

    /// Some contracts are signed days before anyone enters that.
    fn signed_before(&mut self) -> Option<When> {
        if !self.dice.percent(SIGNED_BEFORE_PERCENT) {
            return None;
        }
        let (calendar, days) = (&self.company.calendar, self.dice.within(1, 3));
        let day = calendar.date_of(self.at).checked_sub_days(Days::new(days.into()))?;
        (day > calendar.date_of(self.opened)).then_some(When::Day(day))
    }

    fn contract(&self) -> Result<Label, Invalid> {
        format!("{}/{:04}", self.company.calendar.date_of(self.at).format("%Y"), self.index + 1).parse()
    }

    fn lose(&mut self) -> Result<(), Invalid> {
        let offered = depth_of(self.funnel, self.stage) >= 3;
        let weights = LOSS_REASONS.map(|(_, early, late)| if offered { late } else { early });
        let reason = LOSS_REASONS.get(self.dice.weighted(&weights)).map_or("timing", |reason| reason.0);
        let competitor = match reason {
            "competitor" if self.dice.percent(75) => self.dice.pick(&COMPETITORS).copied(),
            _ => None,
        };
        self.lose_for(reason, competitor, None)
    }

    fn lose_for(&mut self, reason: &str, competitor: Option<&str>, original: Option<u32>) -> Result<(), Invalid> {
        let noted = original.is_none() && reason != "error" && self.dice.percent(20);
        let note = if noted { self.dice.pick(&LOSS_NOTES).map(|note| note.parse()).transpose()? } else { None };
        let lose = deal::Lose {
            reason: reason.parse()?,
            closed_at: None,
            competitor: competitor.map(str::parse).transpose()?,
            duplicate_of: original.map(|index| Self::id(self.company, index)),
            note,
        };
        self.enter(deal::Command::Lose(lose));
        self.open = false;
        Ok(())
    }

    fn reopen(&mut self, stage: usize, reasons: &[&str]) -> Result<(), Invalid> {
        let to = self.funnel.stage(stage)?.slug.clone();
        self.stage = stage;
        let reason = self.dice.pick(reasons).copied().unwrap_or_default().parse()?;
        self.enter(deal::Command::Reopen(deal::Reopen { stage: Some(to), reason }));
        (self.open, self.opened) = (true, self.at);
        // Whoever had the deal may have left meanwhile.
        self.hand_over_at(self.at);
        Ok(())
    }
}

/// How deep a stage of this pipeline is, in stages of the longer one.
fn depth_of(funnel: &Funnel, stage: usize) -> usize {
    stage * DEPTH_MAX / funnel.last().max(1)
}

/// The stage of this pipeline at that depth.
fn stage_at(funnel: &Funnel, depth: usize) -> usize {
    depth * funnel.last() / DEPTH_MAX
}
