//! One real node: its number, addresses, data directory and log file, and the process that comes and goes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::door::Door;
use crate::ports::Port;
use crate::process::{Outlives, Process, Signal, pushrail, tail};
use crate::wall::WallClock;

/// A node; not running until it is started.
#[derive(Debug)]
pub struct Node {
    id: u64,
    client: Port,
    peer: Port,
    http: Port,
    directory: PathBuf,
    settings: Vec<String>,
    wall: Option<WallClock>,
    outlives: Outlives,
    process: Option<Process>,
}

impl Node {
    /// Its files go under `directory`; `settings` are `key=value` of the node's configuration.
    pub fn new(id: u64, directory: &Path, settings: &[String]) -> Self {
        Self {
            id,
            client: Port::reserve(),
            peer: Port::reserve(),
            http: Port::reserve(),
            directory: directory.to_owned(),
            settings: settings.to_vec(),
            wall: None,
            outlives: Outlives::Nothing,
            process: None,
        }
    }

    /// Says what becomes of its processes when the harness is gone.
    pub fn outlives(&mut self, outlives: Outlives) {
        self.outlives = outlives;
    }

    /// Gives its processes a wall clock that can be set, from the next start on.
    pub fn settable_wall(&mut self) {
        let file = self.directory.join(format!("node-{}.wall", self.id));
        self.wall = Some(WallClock::new(file));
    }

    /// Its wall clock.
    ///
    /// # Panics
    /// If it is the machine's.
    pub fn wall(&self) -> &WallClock {
        self.wall.as_ref().expect("a node whose wall clock can be set")
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where callers reach it.
    pub fn client_address(&self) -> SocketAddr {
        self.client.address()
    }

    /// Where it listens for other nodes.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer.address()
    }

    /// Where health and metrics are asked.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where its log and state lie.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join(format!("node-{}", self.id))
    }

    /// What it prints.
    pub fn log(&self) -> PathBuf {
        self.directory.join(format!("node-{}.log", self.id))
    }

    /// It, for callers.
    pub fn door(&self) -> Door {
        Door::at(self.id, self.client_address())
    }

    /// Puts `key=value` into its configuration, from the next start on.
    pub fn set(&mut self, setting: String) {
        let key = setting.split('=').next().unwrap_or_default().to_owned();
        self.settings
            .retain(|other| other.split('=').next() != Some(key.as_str()));
        self.settings.push(setting);
    }

    /// What `pushrail` is started with.
    pub fn args(&self) -> Vec<String> {
        let mut args = vec![
            String::from("serve"),
            String::from("--node-id"),
            self.id.to_string(),
            String::from("--data-dir"),
            self.data_dir().display().to_string(),
            String::from("--listen"),
            self.client_address().to_string(),
            String::from("--peer-listen"),
            self.peer_address().to_string(),
            String::from("--http-listen"),
            self.http_address().to_string(),
        ];
        if !self.settings.is_empty() {
            args.extend([String::from("--config"), self.config().display().to_string()]);
        }
        args
    }

    fn config(&self) -> PathBuf {
        self.directory.join(format!("node-{}.toml", self.id))
    }

    /// Starts its process.
    ///
    /// # Panics
    /// If it is running, or cannot be started.
    pub fn start(&mut self) -> u32 {
        assert!(self.process.is_none(), "node {} is running", self.id);
        let lines: Vec<String> = self
            .settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
            .map(|(key, value)| format!("{key} = \"{value}\"\n"))
            .collect();
        fs::write(self.config(), lines.concat()).expect("write a node's configuration");
        let environment = self.wall.as_ref().map(WallClock::environment).unwrap_or_default();
        let process = Process::spawn_in(
            &environment,
            &pushrail(),
            &self.args(),
            self.outlives,
            &self.log(),
        )
        .expect("start a node");
        self.process.insert(process).pid()
    }

    /// Whether it has a process; one that ended by itself counts until it is reaped.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it is not running.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a running node")
    }

    /// Lets its process go on by itself, and answers its id.
    pub fn let_be(&mut self) -> Option<u32> {
        let process = self.process.take()?;
        let pid = process.pid();
        process.let_be();
        Some(pid)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.process().signal(Signal::Term);
        let ended = self.process().end(within).await;
        match ended {
            Ok(status) => {
                self.process = None;
                status
            }
            Err(saw) => panic!(
                "node {} did not end on SIGTERM within {within:?}: {saw}\n{}",
                self.id,
                self.tail()
            ),
        }
    }

    /// Says so if it ended by itself.
    pub fn check(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        match process.ended() {
            None => Ok(()),
            Some(status) => Err(format!(
                "node {} ended by itself (code {:?}, signal {:?}):\n{}",
                self.id,
                status.code(),
                status.signal(),
                self.tail()
            )),
        }
    }

    /// The end of its log, for a message.
    pub fn tail(&self) -> String {
        format!(
            "--- the end of node {}'s log:\n{}",
            self.id,
            tail(&self.log(), 40)
        )
    }
}
