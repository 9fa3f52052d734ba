//! What goes out: which deliveries start and when, one attempt each, what follows from it, and its way into the log.

mod queue;
mod turns;
mod verdict;
