//! How streams end, and how many there may be.

use std::time::Duration;

use dealog_tests::{Server, Subscription, until};

use super::{create, server_with};

#[test]
fn a_server_that_stops_says_so_to_all_and_stops_in_order() {
    let mut server = Server::of_a_new_company(&[]);
    let head = server.head();
    let mut streams: Vec<Subscription> =
        ["", "?after=0", "?types=deal.won"].map(|query| server.subscribe(query)).into();
    let mut all = streams.remove(1);
    assert_eq!(all.by_ref().take(4).last().unwrap().id, Some(head));
    for stream in &mut streams {
        stream.expect("position");
    }
    streams.push(all);
    server.terminate();
    for mut stream in streams {
        let last = stream.expect("stopping");
        assert_eq!((last.id, &last.data["code"]), (Some(head), &"stopping".into()));
        assert_eq!(last.data["position"], head);
        assert!(last.data["detail"].as_str().unwrap().contains("Last-Event-ID"), "{last:?}");
        assert_eq!(stream.next(), None);
    }
    let log = server.ended();
    assert!(!log.contains("cut off"), "{log}");
}

#[test]
fn there_is_a_limit_of_subscribers_and_a_place_that_is_left_can_be_taken() {
    let server = server_with("subscribers_max = 2");
    let one = server.subscribe("");
    let mut other = server.subscribe("");
    let refused = server.get("/v1/events/stream").problem(503, "too_many_subscribers");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.body["detail"].as_str().unwrap().contains('2'), "{}", refused.text);
    drop(one);
    let third =
        until("a place should be free", Duration::from_secs(20), || server.call("GET", "/v1/events/stream").try_open());
    let mut third = Subscription::of(third, usize::MAX);
    third.expect("position");
    other.expect("position");
    let created = create(&server, "For both").position();
    assert_eq!([&mut other, &mut third].map(|stream| stream.expect("deal.created").id), [Some(created); 2]);
}
