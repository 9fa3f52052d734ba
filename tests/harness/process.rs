//! A real process with its log file: killed when its handle is dropped, and also when the harness itself dies,
//! so that no test leaves a node behind.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::eventually::poll;

/// A signal that a harness sends.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Please end.
    Term,
    /// Ctrl-C.
    Int,
    /// Stand still.
    Stop,
    /// Go on.
    Cont,
}

/// What becomes of a process when the harness that started it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlives {
    /// It is killed, in whatever way the harness ended.
    Nothing,
    /// It goes on if the harness is killed or lets it be; a handle that is dropped kills it all the same.
    Harness,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    // `None` once it is let be.
    child: Option<Child>,
}

impl Process {
    /// Starts `program`; what it prints is added to the file `log`.
    pub fn spawn(program: &Path, args: &[String], outlives: Outlives, log: &Path) -> io::Result<Self> {
        Self::spawn_in(&[], program, args, outlives, log)
    }

    /// As [`Process::spawn`], with more in its environment.
    pub fn spawn_in(
        environment: &[(String, String)],
        program: &Path,
        args: &[String],
        outlives: Outlives,
        log: &Path,
    ) -> io::Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = match outlives {
            Outlives::Nothing => {
                // `setpriv` asks the kernel to kill the process when its parent dies, then becomes the program:
                // the process id stays the same.
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            Outlives::Harness => Command::new(program),
        };
        command.args(args);
        // What the caller's shell says to `pushrail` is not meant for the nodes of a test.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PUSHRAIL_"))
        {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = spawner(command)?;
        Ok(Self { child: Some(child) })
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("a process that was not let be")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a process that was not let be").id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        // A process that has ended already is as dead as wanted.
        drop(self.child().kill());
        self.child().wait().expect("wait for a killed process");
    }

    /// Lets it go on by itself.
    pub fn let_be(mut self) {
        self.child = None;
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If it cannot be sent: the process has ended.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        };
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.pid().to_string()])
            .status()
            .expect("run sh");
        assert!(sent.success(), "send {name} to {}", self.pid());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child().try_wait().expect("look at a process")
    }

    /// Waits for it to end by itself.
    pub async fn end(&mut self, within: Duration) -> Result<ExitStatus, String> {
        let child = Mutex::new(self.child());
        poll(within, || async {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            match child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err(format!("process {} is running", child.id())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// Starts every process from one thread that lives as long as the harness: the kernel's promise to kill the
/// child is tied to the *thread* that made it, and a worker of a runtime may end early.
fn spawner(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (send, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in orders {
                // The asker may have gone; then the child is dropped with the message.
                drop(reply.send(command.spawn()));
            }
        });
        Mutex::new(send)
    });
    let (reply, answer) = channel();
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .expect("the thread that starts processes lives");
    answer.recv().expect("the thread that starts processes answers")
}

/// The binary `pushrail`, beside the program that runs this or, for a test, in the directory above.
///
/// # Panics
/// If it is not there: `tests/run` builds it.
pub fn pushrail() -> PathBuf {
    let here = std::env::current_exe().expect("the path of this program");
    let found = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("pushrail"))
        .find(|path| path.is_file());
    found.expect("the binary `pushrail` beside this program; `tests/run` builds it")
}

/// The last lines of a log file, for a message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat() -> Process {
        let log = tempfile::NamedTempFile::new().unwrap();
        Process::spawn(
            Path::new("sleep"),
            &[String::from("1000")],
            Outlives::Nothing,
            log.path(),
        )
        .unwrap()
    }

    fn state(pid: u32) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        status
            .rsplit(')')
            .next()?
            .split_whitespace()
            .next()
            .map(str::to_owned)
    }

    #[tokio::test]
    async fn a_process_stands_still_goes_on_and_ends_as_it_is_told() {
        let mut process = cat();
        let pid = process.pid();

        process.signal(Signal::Stop);
        poll(Duration::from_secs(10), || async {
            (state(pid).as_deref() == Some("T"))
                .then_some(())
                .ok_or(format!("{:?}", state(pid)))
        })
        .await
        .unwrap();
        process.signal(Signal::Cont);
        process.signal(Signal::Term);
        let ended = process.end(Duration::from_secs(10)).await.unwrap();

        assert!(!ended.success());
    }

    #[test]
    fn a_dropped_handle_leaves_no_process_behind() {
        let process = cat();
        let pid = process.pid();

        drop(process);

        assert_eq!(state(pid), None);
    }
}
