//! The choice among candidates, held against the best of all choices.

use pgassay::advice::cost::statement_weight::WeightedStatement;
use pgassay::advice::cost::what_if::Costs;
use pgassay::advice::input::Limits;
use pgassay::advice::select::budget::{Budget, Priced};
use pgassay::advice::select::iterate::bundles;
use pgassay::advice::select::selection::Selection;
use pgassay::model::index::{AccessMethod, IndexDef, IndexKey};
use pgassay::model::name::TableName;
use pgassay::model::whatif::{PlanCost, Statistics, WhatIf};
use pgassay::model::workload::{Query, Workload};
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::read;

const STATEMENTS: usize = 8;
const CANDIDATES: usize = 13;
/// Tables that each statement joins.
const PARTS: usize = 2;
/// Cost of a part without an index: so much that what every execution takes does not count beside it.
const SCAN: f64 = 1e6;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    /// The next one, from 0 up to and without `below`.
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// A planner whose statements join parts, each by the cheapest index there is for it.
#[derive(Clone)]
struct Joins {
    /// For each statement and part, what each candidate makes it cost.
    costs: Vec<[Vec<f64>; PARTS]>,
    asked: u64,
}

impl Joins {
    fn random(numbers: &mut Numbers) -> Joins {
        let mut part = || {
            let mut cost = || match numbers.below(3) {
                0 => SCAN / 100.0 * (1 + numbers.below(60)) as f64,
                _ => f64::INFINITY,
            };
            (0..CANDIDATES).map(|_| cost()).collect::<Vec<f64>>()
        };
        let costs = (0..STATEMENTS).map(|_| [part(), part()]).collect();
        Joins { costs, asked: 0 }
    }

    /// Cost of a statement with some candidates, and which of these it uses.
    fn planned(&self, statement: usize, set: &[usize]) -> (f64, Vec<usize>) {
        let mut used = Vec::new();
        let mut whole = 0.0;
        for part in &self.costs[statement] {
            let best = set.iter().copied().min_by(|a, b| part[*a].total_cmp(&part[*b]));
            match best.filter(|at| part[*at] < SCAN) {
                Some(at) => {
                    whole += part[at];
                    used.push(at);
                }
                None => whole += SCAN,
            }
        }
        used.sort_unstable();
        used.dedup();
        (whole, used)
    }
}

/// The candidate that an index stands for.
fn number(plan: &IndexDef) -> usize {
    plan.keys[0].expression.trim_start_matches('c').parse().unwrap()
}

impl WhatIf for Joins {
    fn check(&mut self, _: &IndexDef) -> Result<(), String> {
        Ok(())
    }

    fn plan(&mut self, query: &Query, indexes: &[&IndexDef]) -> Result<PlanCost, String> {
        self.asked += 1;
        let statement = query.normalized.trim_start_matches("SELECT s").parse().unwrap();
        let set: Vec<usize> = indexes.iter().map(|plan| number(plan)).collect();
        let (cost, used) = self.planned(statement, &set);
        let used = used.iter().map(|at| set.iter().position(|own| own == at).unwrap()).collect();
        Ok(PlanCost { cost, full_cost: cost, used, ..PlanCost::default() })
    }

    fn statistics(&mut self) -> &mut dyn Statistics {
        unreachable!("the sizes are given")
    }

    fn name(&self) -> &'static str {
        "joins"
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}

/// Statements `s0`, `s1`, … in this order.
fn workload() -> Workload {
    let mut export = "query,calls,total_exec_time\n".to_owned();
    for statement in 0..STATEMENTS {
        export.push_str(&format!("SELECT s{statement},1,{}\n", 100 - statement));
    }
    let mut collector = Collector::new();
    read(export.as_bytes(), "export", &Options::default(), &mut collector).unwrap();
    let workload = collector.finish();
    assert_eq!(workload.queries.len(), STATEMENTS);
    workload
}

fn plans() -> Vec<IndexDef> {
    let plan = |at: usize| IndexDef {
        table: TableName::new("public", "t"),
        method: AccessMethod::Btree,
        keys: vec![IndexKey::column(format!("c{at}"))],
        include: Vec::new(),
        predicate: None,
    };
    (0..CANDIDATES).map(plan).collect()
}

struct Instance {
    joins: Joins,
    weights: Vec<f64>,
    sizes: Vec<f64>,
    upkeep: Vec<f64>,
    /// For each candidate, those of which none may be chosen beside it; ascending.
    rivals: Vec<Vec<usize>>,
    limits: Limits,
}

/// Half of the times none, else a few pairs.
fn rivals(numbers: &mut Numbers) -> Vec<Vec<usize>> {
    let mut rivals = vec![Vec::new(); CANDIDATES];
    let pairs = [0, 1 + numbers.below(8)][numbers.below(2) as usize];
    for _ in 0..pairs {
        let (one, other) = (numbers.below(CANDIDATES as u64), numbers.below(CANDIDATES as u64));
        if one != other {
            rivals[one as usize].push(other as usize);
            rivals[other as usize].push(one as usize);
        }
    }
    for of in &mut rivals {
        of.sort_unstable();
        of.dedup();
    }
    rivals
}

impl Instance {
    fn random(numbers: &mut Numbers) -> Instance {
        let mut random = |count: usize, below: u64, unit: f64| -> Vec<f64> {
            (0..count).map(|_| (1 + numbers.below(below)) as f64 * unit).collect()
        };
        let weights = random(STATEMENTS, 1_000, 1.0);
        let sizes = random(CANDIDATES, 100, 1e6);
        let upkeep = random(CANDIDATES, 20, 1.0);
        let budget = sizes.iter().sum::<f64>() * (10 + numbers.below(60)) as f64 / 100.0;
        let most = 1 + numbers.below(4) as usize;
        let limits = match numbers.below(3) {
            0 => Limits { max_indexes: Some(most), ..Limits::default() },
            1 => Limits { budget_bytes: Some(budget as u64), ..Limits::default() },
            _ => Limits {
                budget_bytes: Some(budget as u64),
                max_indexes: Some(2 * most),
                ..Limits::default()
            },
        };
        let rivals = rivals(numbers);
        Instance { joins: Joins::random(numbers), weights, sizes, upkeep, rivals, limits }
    }

    /// What all statements and all writes take with a set; infinite where that has no room, or has two of which only
    /// one may be there.
    fn whole(&self, set: &[usize]) -> f64 {
        let room = Budget::of(self.limits, 0.0);
        let bytes = set.iter().map(|at| self.sizes[*at]).sum::<f64>();
        if room.bytes.is_some_and(|most| bytes > most)
            || room.indexes.is_some_and(|most| set.len() > most)
        {
            return f64::INFINITY;
        }
        if set.iter().any(|at| self.rivals[*at].iter().any(|other| set.contains(other))) {
            return f64::INFINITY;
        }
        let part = |statement: usize| {
            self.joins.planned(statement, set).0 / self.joins.planned(statement, &[]).0
        };
        let reads = (0..STATEMENTS).map(|statement| self.weights[statement] * part(statement));
        reads.sum::<f64>() + set.iter().map(|at| self.upkeep[*at]).sum::<f64>()
    }

    fn best(&self) -> f64 {
        let sets = (0u32..1 << CANDIDATES)
            .map(|bits| (0..CANDIDATES).filter(|at| bits >> at & 1 == 1).collect::<Vec<usize>>());
        sets.map(|set| self.whole(&set)).min_by(f64::total_cmp).unwrap()
    }

    fn chosen(&self, workload: &Workload) -> Vec<usize> {
        let mut joins = self.joins.clone();
        let all: Vec<usize> = (0..CANDIDATES).collect();
        let mut costs = Costs::new(workload, plans(), &mut joins);
        assert!(costs.check().is_empty());
        (0..STATEMENTS).for_each(|statement| costs.concerns(statement, all.clone()));
        let statements: Vec<WeightedStatement> = (0..STATEMENTS)
            .map(|query| {
                let cost = costs.cost(query, &[]).unwrap();
                WeightedStatement { query, weight: self.weights[query], cost, least_change: 0.0 }
            })
            .collect();
        let candidates: Vec<Priced> = (0..CANDIDATES)
            .map(|at| Priced {
                size_bytes: self.sizes[at],
                net_bytes: self.sizes[at],
                is_rebuild: false,
                upkeep: self.upkeep[at],
                net_upkeep: self.upkeep[at],
                unseen_writes: 0.0,
                statements: (0..STATEMENTS).collect(),
                beside: Vec::new(),
                rivals: self.rivals[at].clone(),
            })
            .collect();
        let relevant = (0..STATEMENTS).map(|statement| (statement, all.clone())).collect();
        let bundles = bundles(&mut costs, &relevant, &statements);
        let prices = (self.weights.iter().sum(), 0.0);
        let unlimited = Budget::default();
        let (first, same) = (statements.clone(), candidates.clone());
        let wanted = Selection::new(&mut costs, first, same, &bundles, unlimited, prices).from(&[]);
        let room = Budget::of(self.limits, 0.0);
        Selection::new(&mut costs, statements, candidates, &bundles, room, prices)
            .of(&wanted.candidates)
            .candidates
    }
}

#[test]
fn what_is_chosen_has_room_and_comes_close_to_the_best_of_all_choices() {
    let workload = workload();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let count = 200;
    let mut excess = Vec::new();
    for _ in 0..count {
        let instance = Instance::random(&mut numbers);
        let (found, best) = (instance.whole(&instance.chosen(&workload)), instance.best());
        assert!(found.is_finite(), "more than there is room for, or two rivals");
        excess.push(found / best - 1.0);
    }
    let mean = excess.iter().sum::<f64>() / f64::from(count);
    let most = excess.iter().copied().fold(0.0, f64::max);
    println!("above the best: {:.2} % in the mean, {:.1} % at most", 100.0 * mean, 100.0 * most);
    assert!(mean < 0.002, "{mean}");
    // Rivals of no sense, as here, are the hardest: each choice rules others out.
    assert!(most < 0.08, "{most}");
}
