//! `lab.json`: what the lab should be, and which processes of it exist, so that a daemon can take over from one that
//! died.
//!
//! Invariant: a reader sees an old file or a whole new one, never a part; a file that cannot be understood is
//! reported and left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use raftian_rpc::cluster::ClusterId;
use raftian_rpc::control::{ByHand, Compaction, ReadMode, Timing};
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::{GameChoice, StartRequest};
use raftian_rpc::selector::names;
use raftian_rpc::{AppKind, AppOptions, Index, MAX_NODES, MAX_PLAYERS, NodeId, files};
use raftian_supervise::Identity;
use serde::{Deserialize, Serialize};

use crate::members::Members;

/// The layout of the file; another one is refused.
const FORMAT: u32 = 4;

/// How many nodes a lab has by default.
const DEFAULT_NODES: u16 = 5;

/// The content of `lab.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    format: u32,
    /// What kind of lab it is.
    pub(crate) settings: Settings,
    /// What is special about its nodes, where they are moved by hand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) by_hand: BTreeMap<NodeId, ByHand>,
    /// Its nodes.
    pub(crate) nodes: BTreeMap<NodeId, SavedNode>,
    /// Who takes part.
    pub(crate) members: Members,
}

/// What kind of lab it is. Fixed for the life of its folder, since the logs of the nodes depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Which cluster its logs belong to.
    pub(crate) cluster: ClusterId,
    /// How many nodes it began with, which were its first voters.
    pub(crate) nodes: u16,
    /// The replicated application.
    pub(crate) app: AppKind,
    /// What the application starts with.
    #[serde(flatten)]
    pub(crate) app_options: AppOptions,
    /// The seed of the run.
    pub(crate) seed: u64,
    /// Election and heartbeat times.
    pub(crate) timing: Timing,
    /// After how many bytes of log a node takes a snapshot; 0 is never.
    pub(crate) snapshot_bytes: u64,
    /// How leaders answer linearizable reads.
    #[serde(default)]
    pub(crate) reads: ReadMode,
    /// The game beside each server.
    #[serde(default)]
    pub(crate) game: GameChoice,
    /// The node that stood for election at once when the lab began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_leader: Option<NodeId>,
}

/// What is known of one node over restarts of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedNode {
    /// The port on which it is called; 0 before it was first started.
    pub(crate) port: u16,
    /// Whether it has ever been ready.
    pub(crate) was_ready: bool,
    /// How often it has been started.
    pub(crate) starts: u64,
    /// Whether it was added to the cluster later, and so began without knowing who is in it.
    #[serde(default)]
    pub(crate) joined: bool,
    /// Up to which index its disk was seen to hold committed entries.
    #[serde(default)]
    pub(crate) held: Index,
    /// Up to which index it has lost entries that its disk had held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rolled_back: Option<Index>,
    /// Its process, if one was running when the file was written.
    pub(crate) process: Option<Identity>,
    /// The process of its server, where that has one of its own.
    #[serde(default)]
    pub(crate) server: Option<Identity>,
}

/// What every format of the file has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Saved {
    /// What is to be written.
    pub(crate) fn new(
        settings: Settings,
        by_hand: BTreeMap<NodeId, ByHand>,
        nodes: BTreeMap<NodeId, SavedNode>,
        members: Members,
    ) -> Saved {
        Saved { format: FORMAT, settings, by_hand, nodes, members }
    }

    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// A sentence that names the file and says what to do, when it cannot be read or understood.
    pub(crate) fn load(path: &Path) -> Result<Option<Saved>, String> {
        let text = match files::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        parse(&text).map(Some).map_err(|why| {
            format!(
                "{} is damaged ({why}); put back a good copy, or remove the lab's folder {} and start afresh",
                path.display(),
                path.parent().unwrap_or(path).display()
            )
        })
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// When the folder cannot be written or the disk is full; the former file is still there then.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("numbers and names always become JSON");
        files::write_private(path, &text)
    }
}

impl Settings {
    /// What a start request asks for, given what the lab is already, if it was started before, and the nodes it has now.
    /// As many nodes as it has now may be asked for; not as many as it began with, which would be told "already up".
    ///
    /// # Errors
    /// Usage for values out of range; Conflict for a request that would make it another lab.
    pub(crate) fn merge(
        request: &StartRequest,
        saved: Option<&Settings>,
        nodes_now: &BTreeSet<NodeId>,
    ) -> Result<Settings, LabError> {
        if let Some(nodes) = request.nodes.filter(|nodes| !(1..=MAX_NODES).contains(nodes)) {
            return Err(LabError::usage(format!("a lab has 1 to {MAX_NODES} nodes, not {nodes}")));
        }
        if let Some(players) = request.players.filter(|players| !(1..=MAX_PLAYERS).contains(players)) {
            return Err(LabError::usage(format!("the game has 1 to {MAX_PLAYERS} players, not {players}")));
        }
        if let Some(timing) = request.timing {
            timing.validate().map_err(LabError::usage)?;
        }
        if let Some(ReadMode::Lease { drift_percent: 101.. }) = request.reads {
            return Err(LabError::usage("clocks differ by at most 100 % of each other's rates"));
        }
        if let Some(GameChoice::Hosted { fps_cap: Some(0), .. }) = request.game {
            return Err(LabError::usage("a game draws at least 1 frame per second; leave the cap out for no cap"));
        }
        let app = request.app.or(saved.map(|saved| saved.app)).unwrap_or_default();
        if app != AppKind::Attack
            && (request.players.is_some() || matches!(request.game, Some(GameChoice::Hosted { .. })))
        {
            return Err(LabError::usage(format!("the app {app} has no players and no game to draw; leave them out")));
        }
        if app != AppKind::Canvas && request.size.is_some() {
            return Err(LabError::usage(format!("the app {app} has no size; leave it out, or ask for the app canvas")));
        }
        match saved {
            Some(saved) => saved.agrees_with(request, nodes_now).map(|()| *saved),
            None => {
                let nodes = request.nodes.unwrap_or(DEFAULT_NODES);
                let cluster = ClusterId::generate().map_err(|error| LabError::failed(error.to_string()))?;
                Ok(Settings {
                    cluster,
                    nodes,
                    app: request.app.unwrap_or_default(),
                    app_options: AppOptions {
                        players: request.players.unwrap_or(nodes.min(MAX_PLAYERS)),
                        size: request.size.unwrap_or_default(),
                    },
                    seed: request.seed.unwrap_or(1),
                    timing: request.timing.unwrap_or_default(),
                    snapshot_bytes: request.snapshot_bytes.or(Compaction::default().log_bytes).unwrap_or(0),
                    reads: request.reads.unwrap_or_default(),
                    game: request.game.unwrap_or_default(),
                    first_leader: request.first_leader,
                })
            }
        }
    }

    /// When a node takes snapshots by itself.
    pub(crate) fn compaction(&self) -> Compaction {
        let log_bytes = Some(self.snapshot_bytes).filter(|bytes| *bytes > 0);
        Compaction { log_bytes, ..Compaction::default() }
    }

    fn agrees_with(&self, request: &StartRequest, nodes_now: &BTreeSet<NodeId>) -> Result<(), LabError> {
        fn differs<T: PartialEq>(asked: Option<T>, is: T) -> Option<(T, T)> {
            asked.filter(|asked| *asked != is).map(|asked| (is, asked))
        }
        let snapshots = |bytes: u64| match bytes {
            0 => "never".to_owned(),
            _ => format!("after {bytes} bytes of log"),
        };
        let reads = |mode: ReadMode| match mode {
            ReadMode::ReadIndex => "reads without leases".to_owned(),
            ReadMode::Lease { drift_percent } => format!("reads by leases for clocks within {drift_percent} %"),
        };
        let timing = |t: Timing| format!("{}–{}/{} ms", t.election_min_ms, t.election_max_ms, t.heartbeat_ms);
        let differences: Vec<String> = [
            differs(request.nodes.map(usize::from), nodes_now.len()).map(|(now, asked)| {
                let began = match now == usize::from(self.nodes) {
                    true => String::new(),
                    false => format!(" now ({}; it began with {})", names(nodes_now), self.nodes),
                };
                let several = if now == 1 { "" } else { "s" };
                format!("{now} node{several}{began}, not {asked} (members are added and removed one by one)")
            }),
            differs(request.app, self.app).map(|(is, asked)| format!("the app {is}, not {asked}")),
            differs(request.players, self.app_options.players).map(|(is, asked)| format!("{is} players, not {asked}")),
            differs(request.size, self.app_options.size).map(|(is, asked)| format!("a canvas of {is}, not {asked}")),
            differs(request.seed, self.seed).map(|(is, asked)| format!("the seed {is}, not {asked}")),
            differs(request.timing, self.timing)
                .map(|(is, asked)| format!("the times {}, not {}", timing(is), timing(asked))),
            differs(request.snapshot_bytes, self.snapshot_bytes)
                .map(|(is, asked)| format!("snapshots {}, not {}", snapshots(is), snapshots(asked))),
            differs(request.reads, self.reads).map(|(is, asked)| format!("{}, not {}", reads(is), reads(asked))),
            differs(request.game, self.game).map(|(is, asked)| format!("{is}, not {asked}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        match differences.is_empty() {
            true => Ok(()),
            false => {
                let why = format!(
                    "this lab has {}; for another one, use another name, or end this one and lose what it holds",
                    differences.join("; and ")
                );
                Err(LabError::conflict(why).hint(Hint::Purge))
            }
        }
    }
}

fn parse(text: &str) -> Result<Saved, String> {
    // First, since a file of another format need not have what this one has.
    let Head { format } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if format != FORMAT {
        return Err(format!("its format is {format}, and this daemon knows {FORMAT}"));
    }
    let saved: Saved = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let settings = &saved.settings;
    if !(1..=MAX_NODES).contains(&settings.nodes) || saved.nodes.is_empty() || saved.members.configuration().is_none() {
        return Err("it names no nodes, or no members".into());
    }
    let mut first = saved.nodes.iter().filter(|(_, node)| !node.joined);
    if let Some((stranger, _)) = first.find(|(id, _)| id.number() > settings.nodes) {
        return Err(format!("it lists {stranger} among n1 to n{}, with which the lab began", settings.nodes));
    }
    if let Some(node) = saved.nodes.keys().find(|node| saved.members.removed.contains(node)) {
        return Err(format!("it lists {node} among the nodes, and says that {node} was removed"));
    }
    settings.timing.validate()?;
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use raftian_rpc::assignment::Hosting;
    use raftian_rpc::game::Scene;

    use super::*;

    fn ask(nodes: Option<u16>, players: Option<u16>, seed: Option<u64>) -> StartRequest {
        StartRequest { nodes, players, seed, ..StartRequest::default() }
    }

    fn first(count: u16) -> BTreeSet<NodeId> {
        NodeId::first(count).collect()
    }

    fn five() -> Settings {
        Settings::merge(&StartRequest::default(), None, &first(0)).unwrap()
    }

    #[test]
    fn a_new_lab_gets_what_is_asked_for_and_defaults_for_the_rest() {
        let settings = five();
        assert_eq!((settings.nodes, settings.app_options.players, settings.seed), (5, 5, 1));
        assert_eq!((settings.timing, settings.compaction()), (Timing::default(), Compaction::default()));
        let settings = Settings::merge(&ask(Some(3), None, Some(9)), None, &first(0)).unwrap();
        assert_eq!((settings.nodes, settings.app_options.players, settings.seed), (3, 3, 9));
    }

    #[test]
    fn an_old_lab_keeps_its_values_and_agrees_with_the_same_ones() {
        let old = Settings::merge(&ask(Some(3), Some(8), Some(9)), None, &first(0)).unwrap();
        assert_eq!(Settings::merge(&StartRequest::default(), Some(&old), &first(3)).unwrap(), old);
        assert_eq!(Settings::merge(&ask(Some(3), Some(8), Some(9)), Some(&old), &first(3)).unwrap(), old);
        // Of a lab whose members have changed, as many as it has now may be asked for, and no other number.
        assert_eq!(Settings::merge(&ask(Some(4), None, None), Some(&old), &first(4)).unwrap(), old);
        for (asked, now, says) in [
            (5, 4, "this lab has 4 nodes now (n1,n2,n3,n4; it began with 3), not 5"),
            (3, 4, "this lab has 4 nodes now (n1,n2,n3,n4; it began with 3), not 3"),
            (3, 1, "this lab has 1 node now (n1; it began with 3), not 3"),
        ] {
            let text = Settings::merge(&ask(Some(asked), None, None), Some(&old), &first(now)).unwrap_err().to_string();
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn another_lab_in_the_same_folder_is_a_conflict_that_says_what_to_do() {
        let error = Settings::merge(&ask(Some(3), None, Some(2)), Some(&five()), &first(5)).unwrap_err();
        assert!(matches!(error, LabError::Conflict(_)));
        let text = error.to_string();
        assert!(text.contains("this lab has 5 nodes, not 3 (members are added"), "{text}");
        assert!(text.contains("; and the seed 1, not 2; ") && text.contains("another name"), "{text}");
    }

    #[test]
    fn a_lab_keeps_its_game() {
        let game = |fps_cap| {
            let hosted = GameChoice::Hosted { hosting: Hosting::Process, scene: Scene::Dots(1000), fps_cap };
            StartRequest { game: Some(hosted), ..StartRequest::default() }
        };
        let played = Settings::merge(&game(None), None, &first(0)).unwrap();
        assert_eq!(Settings::merge(&StartRequest::default(), Some(&played), &first(5)).unwrap(), played);
        let text = Settings::merge(&game(Some(60)), Some(&five()), &first(5)).unwrap_err().to_string();
        assert!(text.contains("this lab has no game, not dots=1000 in hosting process, 60 fps at most"), "{text}");
        assert!(matches!(Settings::merge(&game(Some(0)), None, &first(0)), Err(LabError::Usage(_))));
    }

    #[test]
    fn snapshots_are_taken_as_asked_or_never() {
        let asked = |snapshot_bytes| StartRequest { snapshot_bytes, ..StartRequest::default() };
        let small = Settings::merge(&asked(Some(4_096)), None, &first(0)).unwrap();
        assert_eq!(small.compaction().log_bytes, Some(4_096));
        assert_eq!(Settings::merge(&asked(Some(0)), None, &first(0)).unwrap().compaction().log_bytes, None);
        let text = Settings::merge(&asked(Some(0)), Some(&small), &first(5)).unwrap_err().to_string();
        assert!(text.contains("snapshots after 4096 bytes of log, not never"), "{text}");
    }

    #[test]
    fn only_the_game_has_players_and_something_to_draw() {
        let game = Some(GameChoice::Hosted { hosting: Hosting::Thread, scene: Scene::Attack, fps_cap: None });
        let store = StartRequest { app: Some(AppKind::Kv), ..StartRequest::default() };
        let saved = Settings::merge(&store, None, &first(0)).unwrap();
        for request in [
            StartRequest { game, ..store.clone() },
            StartRequest { players: Some(3), ..store.clone() },
            StartRequest { size: Some("8x8".parse().unwrap()), ..store },
            StartRequest { game, ..StartRequest::default() },
        ] {
            assert!(
                matches!(Settings::merge(&request, Some(&saved), &first(5)), Err(LabError::Usage(_))),
                "{request:?}"
            );
        }
    }

    #[test]
    fn a_canvas_has_a_size_and_keeps_it() {
        let size = |text: &str| Some(text.parse().unwrap());
        let canvas = StartRequest { app: Some(AppKind::Canvas), ..StartRequest::default() };
        let request = StartRequest { size: size("8x9"), ..canvas.clone() };
        let saved = Settings::merge(&request, None, &first(0)).unwrap();
        assert_eq!(Some(saved.app_options.size), request.size);
        assert_eq!(Settings::merge(&canvas, Some(&saved), &first(5)), Ok(saved));
        let other = StartRequest { size: size("9x8"), ..canvas };
        let refused = Settings::merge(&other, Some(&saved), &first(5)).unwrap_err().to_string();
        assert!(refused.contains("a canvas of 8x9, not 9x8"), "{refused}");
    }

    #[test]
    fn values_out_of_range_are_wrong_usage() {
        for request in [ask(Some(0), None, None), ask(Some(1000), None, None), ask(None, Some(0), None)] {
            assert!(matches!(Settings::merge(&request, None, &first(0)), Err(LabError::Usage(_))));
        }
    }

    #[test]
    fn a_damaged_file_is_named_with_the_way_out() {
        let folder = std::env::temp_dir().join(format!("raftiand-saved-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("lab.json");
        assert_eq!(Saved::load(&path), Ok(None));
        let nodes = NodeId::first(5).map(|node| (node, SavedNode::default())).collect();
        let saved = Saved::new(five(), BTreeMap::new(), nodes, Members::first(5));
        saved.save(&path).unwrap();
        assert_eq!(Saved::load(&path), Ok(Some(saved)));
        let text = fs::read_to_string(&path).unwrap();
        let no_members = text.replace("\"told\"", "\"heard\"");
        let stranger = text.replace("\"n5\"", "\"n7\"");
        let former = text.replace("\"format\": 4", "\"format\": 3").replace("was_ready", "was");
        assert!(parse(&former).unwrap_err().contains("its format is 3, and this daemon knows 4"));
        for damaged in ["", "{", &stranger, &no_members, &text.replace("\"format\": 4", "\"format\": 1")] {
            fs::write(&path, damaged).unwrap();
            let error = Saved::load(&path).unwrap_err();
            assert!(error.contains("lab.json is damaged") && error.contains("start afresh"), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
