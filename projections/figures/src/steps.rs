//! The steps of all deals. Neighbouring deals' steps are side by side, so a pass over many deals reads memory in order.

use serde::{Deserialize, Serialize};

use crate::step::Step;

/// Deals whose steps share a block. Adding a step moves the steps of later deals in the block, which is fast for so few.
const BLOCK_DEALS: usize = 32;

/// Steps that a block has room for before it needs more memory.
const ROOM: usize = 16;

/// The steps of every deal, by a deal's number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AllSteps {
    blocks: Vec<Block>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Block {
    /// For each deal, where its steps end and those of the next one begin.
    ends: Vec<u32>,
    steps: Vec<Step>,
}

impl AllSteps {
    /// Makes room for the steps of another deal.
    pub(crate) fn begin(&mut self) {
        if self.blocks.last().is_none_or(|block| block.ends.len() == BLOCK_DEALS) {
            self.blocks.push(Block { ends: Vec::with_capacity(BLOCK_DEALS), steps: Vec::new() });
        }
        if let Some(block) = self.blocks.last_mut() {
            block.ends.push(block.end(block.ends.len()));
        }
    }

    /// Adds a step of a deal that has begun.
    pub(crate) fn push(&mut self, number: usize, step: Step) {
        let (Some(block), place) = (self.blocks.get_mut(number / BLOCK_DEALS), number % BLOCK_DEALS) else { return };
        if block.steps.len() == block.steps.capacity() {
            block.steps.reserve_exact(ROOM);
        }
        block.steps.insert(block.end(place + 1) as usize, step);
        block.ends.iter_mut().skip(place).for_each(|end| *end += 1);
    }

    /// Those of one deal, in the order of the log.
    pub(crate) fn of(&self, number: usize) -> &[Step] {
        let (Some(block), place) = (self.blocks.get(number / BLOCK_DEALS), number % BLOCK_DEALS) else { return &[] };
        block.steps.get(block.end(place) as usize..block.end(place + 1) as usize).unwrap_or_default()
    }
}

impl Block {
    /// Where the steps of the first `deals` deals end.
    fn end(&self, deals: usize) -> u32 {
        deals.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Change;

    #[test]
    fn each_deal_has_its_own_steps_in_the_order_they_came() {
        const DEALS: usize = 3 * BLOCK_DEALS + 1;
        let mut all = AllSteps::default();
        let mut expected = vec![Vec::new(); DEALS];
        for (number, at) in (0..DEALS).zip(0..) {
            all.begin();
            // Give another step to some of the deals so far, at places spread over a block.
            for deal in (0..=number).filter(|deal| (deal + number) % 7 < 2) {
                let step = Step { at, position: u32::try_from(deal).unwrap(), change: Change::Won };
                all.push(deal, step);
                expected[deal].push(step);
            }
        }
        for (number, expected) in expected.iter().enumerate() {
            assert_eq!(all.of(number), expected, "{number}");
        }
        assert!(expected.iter().filter(|steps| steps.len() > 1).count() > DEALS / 2);
        assert_eq!(all.of(DEALS), []);
    }
}
