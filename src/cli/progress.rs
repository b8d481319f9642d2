//! A progress bar on a terminal, and nothing anywhere else.

use super::report;
use crate::worker::LaneView;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{cell::Cell, io::IsTerminal, time::Duration};
use tokio::sync::watch;

/// What a run shows while it goes on.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    views: Vec<watch::Receiver<LaneView>>,
    /// Items that were final before this process began.
    before: u64,
    /// The most keys that were left at any time: an item is final with its last key, so keys tell the time better.
    most_left: Cell<u64>,
}

/// A bar over so many items, drawn on stderr if that is a terminal.
pub fn bar(items: u64) -> ProgressBar {
    let drawn = std::io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
    let target = if drawn { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(items), target);
    let style = ProgressStyle::with_template("{elapsed:>4} [{bar:32}] {human_pos}/{human_len} items  {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

impl Progress {
    /// A bar over `items`, drawn on stderr if that is a terminal.
    pub fn new(views: Vec<watch::Receiver<LaneView>>, items: u64, before: u64) -> Self {
        Self { bar: bar(items), views, before, most_left: Cell::new(0) }
    }

    /// Draws the present state until it is dropped.
    pub async fn watch(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            self.draw();
        }
    }

    fn draw(&self) {
        let (mut done, mut keys, mut calls, mut throttled, mut dead, mut rate, mut waiting) =
            (self.before, 0, 0, 0, 0, 0.0, 0);
        let mut states = Vec::new();
        for watched in &self.views {
            let view = watched.borrow();
            let counts = view.status.counts;
            done += counts.tagged + counts.unchanged + counts.dead;
            keys += view.status.keys_left;
            calls += counts.calls;
            throttled += counts.throttled;
            dead += counts.dead;
            waiting += view.status.waiting as u64;
            if !view.finished {
                rate += view.status.rate;
            }
            match &view.status {
                status if status.paused.is_some() => states.push(format!("{} paused", view.name)),
                status if status.outage => states.push(format!("{} down, probing", view.name)),
                _ => {}
            }
        }
        self.bar.set_position(done);
        let elapsed = self.bar.elapsed().as_secs_f64();
        self.most_left.set(self.most_left.get().max(keys));
        let carried_out = self.most_left.get() - keys;
        let eta = if carried_out > 0 && elapsed > 1.0 {
            format!("{} left", report::seconds(keys as f64 * elapsed / carried_out as f64))
        } else {
            "...".to_owned()
        };
        let mut message = format!(
            "{eta}  {} calls at {rate:.1}/s, {throttled} throttled, {waiting} waiting, {dead} dead",
            report::thousands(calls)
        );
        for state in states {
            message.push_str("  ");
            message.push_str(&report::plain(&state));
        }
        self.bar.set_message(message);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
