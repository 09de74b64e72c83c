//! The promises of the filter: repeatable, independent per link, directed, and composable.

use std::time::Duration;

use raftian_faults::{Effect, Filter, Link, Rule, Verdict};

const THERE: Link = Link { from: 1, to: 2 };
const BACK: Link = Link { from: 2, to: 1 };

fn rule(link: Link, effect: Effect) -> Rule {
    Rule { from: link.from, to: link.to, effect }
}

fn lossy(link: Link) -> Rule {
    rule(link, Effect::drop(0.5).unwrap())
}

fn latency(link: Link, delay_ms: f64, jitter_ms: f64) -> Rule {
    rule(link, Effect::latency(delay_ms, jitter_ms).unwrap())
}

fn filter(seed: u64, rules: &[Rule]) -> Filter {
    let mut filter = Filter::new(seed);
    filter.set_rules(rules.to_vec());
    filter
}

fn verdicts(filter: &mut Filter, link: Link, count: usize) -> Vec<Verdict> {
    (0..count).map(|_| filter.judge(link)).collect()
}

#[test]
fn without_rules_everything_passes() {
    assert_eq!(verdicts(&mut Filter::new(7), THERE, 100), vec![Verdict::Pass; 100]);
}

#[test]
fn the_same_seed_gives_the_same_verdicts_and_another_seed_gives_others() {
    let rules = [lossy(THERE), latency(THERE, 50.0, 10.0)];
    let first = verdicts(&mut filter(7, &rules), THERE, 1000);
    assert_eq!(verdicts(&mut filter(7, &rules), THERE, 1000), first);
    assert_ne!(verdicts(&mut filter(8, &rules), THERE, 1000), first);
}

#[test]
fn a_link_does_not_notice_traffic_or_rules_on_other_links() {
    let alone = verdicts(&mut filter(7, &[lossy(THERE)]), THERE, 200);
    let mut busy = filter(7, &[lossy(THERE)]);
    let mut among_others = Vec::new();
    for turn in 0..200 {
        let _ = busy.judge(BACK);
        among_others.push(busy.judge(THERE));
        busy.set_rules(vec![latency(BACK, f64::from(turn), 1.0), lossy(THERE), lossy(Link { from: 1, to: 3 })]);
        let _ = busy.judge(Link { from: 1, to: 3 });
    }
    assert_eq!(among_others, alone);
}

#[test]
fn a_rule_that_comes_and_goes_does_not_change_what_follows() {
    let undisturbed = verdicts(&mut filter(7, &[lossy(THERE)]), THERE, 300);
    let mut disturbed = filter(7, &[lossy(THERE)]);
    assert_eq!(verdicts(&mut disturbed, THERE, 100), undisturbed[..100]);
    disturbed.set_rules(vec![latency(THERE, 5.0, 5.0), lossy(THERE), rule(THERE, Effect::CUT)]);
    assert_eq!(verdicts(&mut disturbed, THERE, 100), vec![Verdict::Drop; 100]);
    disturbed.set_rules(vec![lossy(THERE)]);
    assert_eq!(verdicts(&mut disturbed, THERE, 100), undisturbed[200..]);
}

#[test]
fn the_two_directions_have_their_own_luck() {
    let mut filter = filter(7, &[lossy(THERE), lossy(BACK)]);
    assert_ne!(verdicts(&mut filter, THERE, 100), verdicts(&mut filter, BACK, 100));
}

#[test]
fn a_one_way_cut_leaves_the_way_back_open() {
    let mut filter = filter(7, &[rule(THERE, Effect::CUT)]);
    assert_eq!(filter.judge(THERE), Verdict::Drop);
    assert_eq!(filter.judge(BACK), Verdict::Pass);
    assert!(filter.is_cut(THERE));
    assert!(!filter.is_cut(BACK));
}

#[test]
fn a_lossy_link_is_not_cut() {
    assert!(!filter(7, &[rule(THERE, Effect::drop(0.999).unwrap())]).is_cut(THERE));
    assert!(filter(7, &[lossy(THERE), rule(THERE, Effect::CUT)]).is_cut(THERE));
}

#[test]
fn about_the_stated_share_is_dropped() {
    let mut filter = filter(7, &[rule(THERE, Effect::drop(0.1).unwrap())]);
    let dropped = verdicts(&mut filter, THERE, 10_000).iter().filter(|&&verdict| verdict == Verdict::Drop).count();
    // Five standard deviations of a binomial with n = 10 000, p = 0.1 are 150.
    assert!((850..=1150).contains(&dropped), "{dropped}");
}

#[test]
fn probability_zero_drops_nothing_and_one_drops_everything() {
    let never = rule(THERE, Effect::drop(0.0).unwrap());
    assert_eq!(verdicts(&mut filter(7, &[never]), THERE, 10_000), vec![Verdict::Pass; 10_000]);
    let always = rule(THERE, Effect::CUT);
    assert_eq!(verdicts(&mut filter(7, &[always]), THERE, 10_000), vec![Verdict::Drop; 10_000]);
}

#[test]
fn two_drop_rules_are_independent_chances() {
    let mut filter = filter(7, &[lossy(THERE), lossy(THERE)]);
    let dropped = verdicts(&mut filter, THERE, 10_000).iter().filter(|&&verdict| verdict == Verdict::Drop).count();
    // 1 - 0.5 × 0.5 = 0.75, give or take five standard deviations (217).
    assert!((7283..=7717).contains(&dropped), "{dropped}");
}

#[test]
fn latencies_add_up() {
    let mut filter = filter(7, &[latency(THERE, 20.0, 0.0), latency(THERE, 0.5, 0.0)]);
    assert_eq!(filter.judge(THERE), Verdict::Delay(Duration::from_micros(20_500)));
}

#[test]
fn jitter_spreads_over_the_whole_interval_and_never_below_zero() {
    let delays_ms = |delay_ms, jitter_ms| -> Vec<f64> {
        let verdicts = verdicts(&mut filter(7, &[latency(THERE, delay_ms, jitter_ms)]), THERE, 10_000);
        let delay = |verdict| match verdict {
            Verdict::Pass => 0.0,
            Verdict::Delay(delay) => delay.as_secs_f64() * 1000.0,
            Verdict::Drop | Verdict::Twice(..) => panic!("nothing drops here, nor comes twice"),
        };
        verdicts.into_iter().map(delay).collect()
    };
    let spread = delays_ms(50.0, 10.0);
    assert!(spread.iter().all(|delay_ms| (40.0..=60.0).contains(delay_ms)));
    assert!(spread.iter().any(|&delay_ms| delay_ms < 40.1));
    assert!(spread.iter().any(|&delay_ms| delay_ms > 59.9));
    // Half of the interval 0 ± 10 ms lies below 0, and is cut off there.
    let at_once = delays_ms(0.0, 10.0).into_iter().filter(|&delay_ms| delay_ms == 0.0).count();
    assert!((4750..=5250).contains(&at_once), "{at_once}");
}

#[test]
fn any_drop_wins_over_latency() {
    let mut filter = filter(7, &[latency(THERE, 20.0, 0.0), rule(THERE, Effect::CUT)]);
    assert_eq!(filter.judge(THERE), Verdict::Drop);
}

#[test]
fn new_rules_replace_the_old_ones() {
    let mut filter = filter(7, &[rule(THERE, Effect::CUT)]);
    filter.set_rules(Vec::new());
    assert_eq!(filter.judge(THERE), Verdict::Pass);
    assert!(!filter.is_cut(THERE));
}

#[test]
#[should_panic(expected = "`probability` is 7")]
fn an_unchecked_rule_is_not_taken() {
    filter(7, &[rule(THERE, Effect::Drop { probability: 7.0 })]);
}

#[test]
fn a_rule_reads_back_as_written() {
    let json = r#"{"from":1,"to":2,"effect":{"kind":"latency","delay_ms":50.0,"jitter_ms":10.0}}"#;
    let rule: Rule = serde_json::from_str(json).unwrap();
    assert_eq!(rule, latency(THERE, 50.0, 10.0));
    assert_eq!(serde_json::to_string(&rule).unwrap(), json);
}

#[test]
fn a_copy_comes_as_often_as_asked_and_as_late_as_latency_says() {
    let doubling = rule(THERE, Effect::duplicate(0.25).unwrap());
    let found = verdicts(&mut filter(7, &[latency(THERE, 5.0, 1.0), doubling]), THERE, 10_000);
    let copies: Vec<_> = found
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Twice(first, second) => Some([*first, *second]),
            _ => None,
        })
        .collect();
    assert!((2_300..2_700).contains(&copies.len()), "{} copies", copies.len());
    let within = Duration::from_millis(4)..=Duration::from_millis(6);
    assert!(copies.iter().flatten().all(|delay| within.contains(delay)));
    assert!(copies.iter().any(|[first, second]| first != second));
}

#[test]
fn what_is_reordered_is_held_back_by_at_most_what_was_asked() {
    let found = verdicts(&mut filter(7, &[rule(THERE, Effect::reorder(0.25, 20.0).unwrap())]), THERE, 10_000);
    let held: Vec<Duration> = found
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Delay(delay) => Some(*delay),
            _ => None,
        })
        .collect();
    assert!((2_300..2_700).contains(&held.len()), "{} held back", held.len());
    assert!(held.iter().all(|delay| *delay <= Duration::from_millis(20)));
    assert!(held.iter().any(|delay| *delay > Duration::from_millis(18)));
}
