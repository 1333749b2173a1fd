//! Machines, orders, attempts and their timeline.
