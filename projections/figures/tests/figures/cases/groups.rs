//! Which group something counts in, and which groups are the largest.

use super::*;

#[test]
fn what_happened_is_grouped_by_the_loss_and_the_fields_that_filters_mean() {
    let mut log = Log::new();
    log.fields();
    let region = |region: &str| FieldValue::Text(val(region));
    log.on(day(2)).deal(1).created(|_| {}).lost(SALES, "met", "price");
    log.on(day(2)).deal(2).created(|_| {}).field("region", region("east")).won(SALES, "met", eur(1));
    log.on(day(3)).deal(2).field("region", region("west"));
    let lost_or_won = |by: By| {
        let answer = period(&log.image, &grouped(by, 9, day(9)), &between(day(1), day(5))).unwrap().grouped;
        let counted = answer.groups.into_iter().map(|group| {
            let stage = &group.figures.funnels[0].stages[0];
            (group.key[0].id.clone(), stage.lost_from, stage.won_from)
        });
        counted.collect::<Vec<_>>()
    };
    assert_eq!(lost_or_won(By::LossReason), [(Some("price".into()), 1, 0), (None, 0, 1)]);
    assert_eq!(lost_or_won(By::Field(val("region"))), [(Some("east".into()), 0, 1), (None, 1, 0)]);
}

#[test]
fn the_largest_groups_have_the_most_deals_however_much_happened_to_each() {
    let mut log = Log::new();
    let boris = |deal: &mut dealog_events::deal::Created| deal.owner = Some(BORIS);
    let deal = log.on(day(2)).deal(1).created(|deal| deal.owner = Some(ANNA)).moved(SALES, "met", "offer");
    deal.moved(SALES, "offer", "talks").transferred((SALES, "talks"), (RENEWALS, "met"));
    log.deal(2).created(boris);
    log.deal(3).created(boris);
    let question = grouped(By::Owner, 1, day(9));
    let boris = Some(BORIS.to_string());
    let happened = period(&log.image, &question, &between(day(1), day(5))).unwrap().grouped;
    assert_eq!(happened.groups[0].key[0].id, boris);
    // Anna's deal is in the cohorts of two pipelines, and is one deal.
    log.deal(4).created(|_| {});
    let cohorts = funnel(&log.image, &question, &between(day(1), day(5)), None).unwrap().grouped;
    assert_eq!(cohorts.groups[0].key[0].id, boris);
}
