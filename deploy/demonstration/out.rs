//! What the demo prints: lines on stdout, coloured on a terminal, and progress as a bar there or as plain lines.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One line.
pub(crate) fn say(line: impl AsRef<str>) {
    // Nobody is left to tell where stdout is closed.
    drop(writeln!(std::io::stdout(), "{}", line.as_ref()));
}

fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn paint(code: &str, text: &str) -> String {
    if coloured() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// What stands out.
pub(crate) fn bold(text: &str) -> String {
    paint("1", text)
}

/// What is well.
pub(crate) fn green(text: &str) -> String {
    paint("32", text)
}

/// What is not.
pub(crate) fn red(text: &str) -> String {
    paint("31", text)
}

/// What is by the way.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// How far something has come.
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    bar: Option<ProgressBar>,
    said: usize,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(u64::try_from(total).unwrap_or(u64::MAX)),
                ProgressDrawTarget::stderr(),
            );
            let style = ProgressStyle::with_template("  {msg:<12} {wide_bar} {pos:>5}/{len} {elapsed:>4}");
            bar.set_style(style.expect("a template that is right").progress_chars("━━╌"));
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            what,
            total,
            bar,
            said: 0,
        }
    }

    pub(crate) fn at(&mut self, count: usize) {
        match &self.bar {
            Some(bar) => bar.set_position(u64::try_from(count).unwrap_or(u64::MAX)),
            // Without a terminal: a line for every quarter.
            None => {
                let quarter = count * 4 / self.total.max(1);
                if quarter > self.said {
                    self.said = quarter;
                    say(format!("  {} {count} of {}", self.what, self.total));
                }
            }
        }
    }

    /// A line above the bar.
    pub(crate) fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
