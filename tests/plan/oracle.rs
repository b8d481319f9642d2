//! Planned calls, applied one after the other, give exactly the tags that the jobs in order give.

use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tagmill::{
    job::Resource,
    plan::{Caps, Preview},
};

#[derive(Clone, Debug)]
struct Wish {
    resources: BTreeSet<u8>,
    set: BTreeMap<Arc<str>, Arc<str>>,
    unset: BTreeSet<Arc<str>>,
}

fn key() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "A", "B"]).prop_map(Arc::from)
}

fn wish() -> impl Strategy<Value = Wish> {
    let value = prop::sample::select(vec!["1", "2", ""]).prop_map(Arc::<str>::from);
    let resources = prop::collection::btree_set(0..12_u8, 1..6);
    let set = prop::collection::btree_map(key(), value, 0..6);
    (resources, set, prop::collection::btree_set(key(), 0..3)).prop_map(|(resources, set, unset)| {
        let unset = unset.into_iter().filter(|key| !set.contains_key(key)).collect();
        Wish { resources, set, unset }
    })
}

type Tags = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<str>>>;

fn resource(n: u8) -> Resource {
    Resource { id: format!("r{n}").into(), kind: None, project: Some(format!("p{}", n % 2).into()) }
}

fn in_order(wishes: &[Wish]) -> Tags {
    let mut tags = Tags::new();
    for wish in wishes {
        for n in &wish.resources {
            let own = tags.entry(resource(*n).id).or_default();
            own.extend(wish.set.iter().map(|(key, value)| (key.clone(), value.clone())));
            own.retain(|key, _| !wish.unset.contains(key));
        }
    }
    tags
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planned_calls_give_the_tags_of_the_jobs_in_order_within_limits_and_nothing_twice(
        wishes in prop::collection::vec(wish(), 1..12),
        resources in 1..5_usize, tags in 1..4_usize, keys in 1..3_usize, whole in prop::bool::weighted(0.1),
    ) {
        let caps = if whole { Caps::WHOLE } else { Caps { resources, tags, keys } };
        let Caps { resources, tags, keys } = caps;
        let mut gathered = Preview::new(caps);
        for wish in &wishes {
            let list: Vec<Resource> = wish.resources.iter().map(|n| resource(*n)).collect();
            let name = |r: &Resource| (r.id.to_string(), r.project.as_deref().unwrap_or_default().to_owned());
            gathered.add(list.iter(), wish.set.iter(), wish.unset.iter(), name, str::to_owned);
        }
        let mut applied = Tags::new();
        let mut seen = BTreeSet::new();
        let mut bad = None;
        gathered.cut(|rectangle| {
            let call = gathered.words(rectangle);
            let sets = call.tags.iter().filter(|(_, value)| value.is_some()).count();
            let most = if sets > 0 { tags } else { keys };
            let mixed = !whole && sets > 0 && sets < call.tags.len();
            if call.resources.len() > resources || call.tags.len() > most || mixed {
                bad = Some(format!("over a limit or mixed: {call:?}"));
            }
            let ids: BTreeSet<_> = call.resources.iter().map(|r| r.id.clone()).collect();
            let projects: BTreeSet<_> = call.resources.iter().map(|r| r.project.clone()).collect();
            if ids.len() < call.resources.len() || projects.len() > 1 {
                bad = Some(format!("a resource twice or projects mixed: {call:?}"));
            }
            for r in &call.resources {
                let own = applied.entry(r.id.clone()).or_default();
                for (key, value) in &call.tags {
                    if !seen.insert((r.id.clone(), key.clone())) {
                        bad = Some(format!("{key} of {} twice", r.id));
                    }
                    match value {
                        Some(value) => own.insert(key.clone(), value.clone()),
                        None => own.remove(key),
                    };
                }
            }
        });
        prop_assert_eq!(bad, None);
        if whole {
            let busy = wishes.iter().filter(|wish| !(wish.set.is_empty() && wish.unset.is_empty()));
            let touched: BTreeSet<_> = busy.flat_map(|wish| &wish.resources).map(|n| resource(*n).id).collect();
            prop_assert_eq!(gathered.cut(|_| {}), touched.len() as u64, "one call takes all a resource has to give");
        }
        let mut expected = in_order(&wishes);
        expected.retain(|id, _| applied.contains_key(id));
        prop_assert_eq!(applied, expected);
    }
}
