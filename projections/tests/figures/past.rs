//! A deal as it was, from the beginning of its stream.

use dealog_domain::deal::Change;
use dealog_events::{StreamId, Timestamp, Version};
use dealog_projections::deals::{Past, PastLimits};

use crate::company::{Company, deal_id, val};
use crate::memory::MemoryStore;

const VERSIONS: u64 = 1_000;

fn now() -> Timestamp {
    val("2026-06-01T00:00:00Z")
}

/// A deal that was called `Version N` at each of its versions, a second apart.
async fn renamed() -> (std::sync::Arc<MemoryStore>, StreamId) {
    let mut company = Company::at_work().await;
    company.create(0, None).await;
    for version in 2..=VERSIONS {
        company.wait(1_000_000);
        company.change(0, Change { title: Some(val(&format!("Version {version}"))), ..Change::default() }).await;
    }
    (MemoryStore::holding(company.log()), StreamId::Deal(deal_id(0)))
}

#[tokio::test]
async fn a_deal_as_it_was_is_read_from_its_stream_page_by_page_and_only_as_far_as_it_is_asked_about() {
    let (store, stream) = renamed().await;
    let past = Past::new(store.clone(), PastLimits::default());
    let head = store.events().last().unwrap().position;
    let read = || std::mem::take(&mut *store.streamed.lock().unwrap());
    read();
    for version in [1, 2, 99, 100, 101, 200, 201, VERSIONS] {
        let (views, last) = past.views_of(stream, Some(Version(version)), head, |_| true).await.unwrap();
        let deal = views.deal(deal_id(0), now()).await.unwrap().item.unwrap();
        assert_eq!((deal.version, last), (Version(version), Version(version)));
        let title = if version == 1 { "Licences".to_owned() } else { format!("Version {version}") };
        assert_eq!(deal.title, title);
        let pages = read();
        assert_eq!(pages.iter().sum::<usize>() as u64, version);
        assert!(pages.iter().all(|events| *events <= 100), "{pages:?}");
    }

    // By an instant it takes the page in which that lies.
    let events: Vec<_> = store.events().into_iter().filter(|event| event.stream == stream).collect();
    let at = events[149].occurred_at;
    let (views, _) = past.views_of(stream, None, head, |event| event.occurred_at <= at).await.unwrap();
    assert_eq!(views.deal(deal_id(0), now()).await.unwrap().item.unwrap().version, Version(150));
    assert_eq!(read(), [100, 100]);

    let (_, last) = past.views_of(stream, Some(Version(VERSIONS + 5)), head, |_| true).await.unwrap();
    assert_eq!(last, Version(VERSIONS));
}
