//! Deterministic workloads: the shapes of real tagging work, drawn from a generator that never changes.
//!
//! The generator is MT19937 with the draws of Python's `random.Random(seed)`, so that a workload written by a few
//! lines of Python is the same workload here, value for value.
#![allow(dead_code, reason = "each test and benchmark uses a part of it")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "tests")]

/// One job of one resource.
pub struct Row {
    pub id: String,
    pub tags: Vec<(String, String)>,
}

/// The jobs of a workload, in arrival order.
pub fn rows(kind: &str, count: usize, seed: u64) -> Vec<Row> {
    let mut rng = Twister::new(seed);
    let id = |n: usize| format!("res-{n:07}");
    let row = |n: usize, tags: Vec<(&str, String)>| Row {
        id: id(n),
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    };
    match kind {
        "uniform" => (0..count).map(|n| row(n, vec![("env", "prod".into()), ("cc", "42".into())])).collect(),
        "event" => (0..count)
            .map(|n| {
                let owner = rng.below(200);
                let team = owner % 20;
                let env = ["dev", "prod", "stage"][rng.below(3)];
                let date = 20 + rng.below(2);
                row(
                    n,
                    vec![
                        ("env", env.into()),
                        ("team", format!("t{team}")),
                        ("owner", format!("o{owner}")),
                        ("date", format!("2026-11-{date}")),
                        ("cc", format!("c{}", team % 13)),
                    ],
                )
            })
            .collect(),
        "independent" => (0..count)
            .map(|n| {
                let mut draw = |prefix: char, n: usize| format!("{prefix}{}", rng.below(n));
                row(
                    n,
                    vec![
                        ("env", draw('e', 3)),
                        ("owner", draw('o', 40)),
                        ("cc", draw('c', 30)),
                        ("app", draw('a', 60)),
                    ],
                )
            })
            .collect(),
        "named" => (0..count)
            .map(|n| {
                let env = rng.below(3);
                let owner = rng.below(40);
                row(n, vec![("env", format!("e{env}")), ("owner", format!("o{owner}")), ("name", id(n))])
            })
            .collect(),
        "repeat" => ["env", "team", "cc", "app"]
            .into_iter()
            .flat_map(|key| (0..count).map(move |n| (n, key)))
            .map(|(n, key)| row(n, vec![(key, "v".into())]))
            .collect(),
        "conflict" => ["first", "second", "last"]
            .into_iter()
            .flat_map(|value| (0..count).map(move |n| (n, value)))
            .map(|(n, value)| row(n, vec![("stage", value.into())]))
            .collect(),
        "wide" => (0..count)
            .map(|n| Row {
                id: id(n),
                tags: (0..14).map(|j| (format!("k{j}"), format!("v{}", rng.below(4)))).collect(),
            })
            .collect(),
        other => panic!("no workload {other}"),
    }
}

/// The jobs as NDJSON for one lane.
pub fn ndjson(kind: &str, count: usize, seed: u64, lane: &str, kind_of: &str, project: Option<&str>) -> String {
    let mut out = String::new();
    for (n, row) in rows(kind, count, seed).iter().enumerate() {
        let mut resource = serde_json::json!({"id": row.id, "type": kind_of});
        if let Some(project) = project {
            resource["project"] = project.into();
        }
        let set: serde_json::Map<_, _> = row.tags.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        let job = serde_json::json!({"id": format!("{kind}-{seed}-{n:07}"), "lane": lane, "resources": [resource], "set": set});
        out.push_str(&job.to_string());
        out.push('\n');
    }
    out
}

/// MT19937, seeded the way Python seeds it.
pub struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    pub fn new(seed: u64) -> Self {
        let mut twister = Self { state: [0; 624], at: 624 };
        twister.init(19_650_218);
        let key: Vec<u32> =
            if seed > u64::from(u32::MAX) { vec![seed as u32, (seed >> 32) as u32] } else { vec![seed as u32] };
        let state = &mut twister.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..624 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            i += 1;
            j += 1;
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
            j %= key.len();
        }
        for _ in 0..623 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(i as u32);
            i += 1;
            if i >= 624 {
                state[0] = state[623];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        twister
    }

    fn init(&mut self, seed: u32) {
        self.state[0] = seed;
        for i in 1..624 {
            let last = self.state[i - 1];
            self.state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
    }

    fn word(&mut self) -> u32 {
        if self.at >= 624 {
            for k in 0..624 {
                let y = (self.state[k] & 0x8000_0000) | (self.state[(k + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[k] = self.state[(k + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number below `n`: as many high bits as `n` needs, drawn again until they fit.
    pub fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let draw = (self.word() >> (32 - bits)) as usize;
            if draw < n {
                return draw;
            }
        }
    }
}
