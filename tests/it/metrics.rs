//! What `/metrics` shows of running nodes, held against `node/docs/metrics.md` in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::behaviour::Behaviour;
use harness::door::event;
use harness::eventually::eventually;
use harness::http::get;

use crate::world::{SOON, World};

/// A figure's sort and labels.
type Figure = (String, BTreeSet<String>);

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_appears_and_every_one_that_appears_is_documented() {
    let mut world = World::three().await;
    let documented = documented();

    work(&mut world).await;

    // Some figures are only looked up every few seconds.
    eventually("every documented metric appears", SOON, || async {
        let appear = figures(&scraped(&world).await?);
        let missing: Vec<&String> = documented
            .keys()
            .filter(|name| !appear.contains_key(*name))
            .collect();
        missing
            .is_empty()
            .then_some(())
            .ok_or(format!("{missing:?} do not"))
    })
    .await;
    let appear = figures(&scraped(&world).await.unwrap());
    for (name, figure) in &appear {
        assert_eq!(
            documented.get(name),
            Some(figure),
            "{name}: documented (left), and as it appears (right)"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_what_was_done() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::first(1, 500)).await;
    for _ in 0..10 {
        world
            .door()
            .publish(event("acme", "orders.paid", "{}"))
            .await
            .unwrap();
    }
    world.arrived(&hook, 10).await;

    // The last outcomes may still be on their way into the log.
    eventually("all ten are counted", SOON, || async {
        let texts = scraped(&world).await?;
        let counts = [
            ("pushrail_publish_acknowledged_total{outcome=\"accepted\"}", 10),
            ("pushrail_attempts_total", 20),
            ("pushrail_deliveries_total", 10),
            ("pushrail_retries_scheduled_total", 10),
            ("pushrail_raft_is_leader", 1),
            ("pushrail_shards_owned", 1024),
        ];
        let wrong: Vec<String> = counts
            .into_iter()
            .map(|(name, expected)| (name, expected, sum(&texts, name)))
            .filter(|(_, expected, found)| expected != found)
            .map(|(name, expected, found)| format!("{name} is {found}, not {expected}"))
            .collect();
        wrong.is_empty().then_some(()).ok_or(wrong.join("; "))
    })
    .await;
    // Labels come from closed sets: neither tenant nor destination may be one.
    let all = scraped(&world).await.unwrap().join("\n");
    assert!(
        !all.contains("acme") && !all.contains("orders"),
        "a tenant or a destination is in the metrics"
    );
}

/// Everything that moves a figure: yes, no for now, no for good, a refusal at the door, a repeat, a replay.
async fn work(world: &mut World) {
    let well = world.webhook("acme", "well", Behaviour::first(1, 500)).await;
    let ill = world
        .webhook_with("acme", "ill", Behaviour::always(401), |webhook| {
            webhook.waits = vec![Duration::from_millis(10)];
        })
        .await;
    let fast = world.webhook("acme", "fast", Behaviour::default()).await;
    for door in world.cluster.doors() {
        for destination in ["well", "ill", "fast"] {
            let mut event = event("acme", &format!("{destination}.made"), "{}");
            event.idempotency_key = format!("{destination}-{}", door.node());
            let first = door.publish(event.clone()).await.unwrap();
            let again = door.publish(event).await.unwrap();
            assert!(again.duplicate && !first.duplicate);
        }
        door.publish(event("nobody", "well.made", "{}"))
            .await
            .unwrap_err();
    }
    world.arrived(&well, 3).await;
    world.arrived(&fast, 3).await;
    eventually("three are dead letters", SOON, || async {
        let letters = world
            .door()
            .dead_letters_of("acme", "ill")
            .await
            .map_err(|status| status.to_string())?;
        (letters.len() == 3)
            .then_some(())
            .ok_or(format!("{} are", letters.len()))
    })
    .await;
    assert!(ill.receiver.count(&ill.path) >= 3);
}

/// What the page promises.
fn documented() -> BTreeMap<String, Figure> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/docs/metrics.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `pushrail_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let quoted = |cell: &str| -> BTreeSet<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        };
        let name = quoted(cells[1]).pop_first().unwrap();
        (name, (cells[2].to_owned(), quoted(cells[3])))
    })
    .collect()
}

/// What all running nodes show.
async fn scraped(world: &World) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for address in world.cluster.http_addresses() {
        let (status, text) = get(address, "/metrics").await?;
        assert_eq!(status, 200);
        texts.push(text);
    }
    Ok(texts)
}

/// The figures of these texts, as a collector reads them.
fn figures(texts: &[String]) -> BTreeMap<String, Figure> {
    let mut found: BTreeMap<String, Figure> = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, sort) = rest.split_once(' ').unwrap();
            found.entry(name.to_owned()).or_default().0 = sort.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, labels) = labels(line);
            let whole = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|whole| found.get(*whole).is_some_and(|figure| figure.0 == "histogram"));
            let figure = found.entry(whole.unwrap_or(&name).to_owned()).or_default();
            figure.1.extend(labels.into_iter().filter(|label| label != "le"));
        }
    }
    found
}

/// A sample's name and the names of its labels. No label of ours holds a quotation mark or a comma.
fn labels(line: &str) -> (String, Vec<String>) {
    let sample = line.rsplit_once(' ').unwrap().0;
    let Some((name, rest)) = sample.split_once('{') else {
        return (sample.to_owned(), Vec::new());
    };
    let pairs = rest.trim_end_matches('}').split(',');
    let names = pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, _)| name.to_owned());
    (name.to_owned(), names.collect())
}

/// The sum of a figure over all its labels and nodes.
fn sum(texts: &[String], name: &str) -> u64 {
    let lines = texts.iter().flat_map(|text| text.lines());
    let values = lines
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}
