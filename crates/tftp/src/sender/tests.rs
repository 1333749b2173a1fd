use super::*;

const MS: Duration = Duration::from_millis(1);

struct Rig {
    now: Instant,
    sender: Sender,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn new(window: u16, last: u64, option_ack: bool) -> Self {
        let now = Instant::now();
        let window = WindowSize::new(window).unwrap();
        let config = SenderConfig { window, option_ack, last: Some(last), ..SenderConfig::default() };
        let mut rig = Self { now, sender: Sender::new(now, &config) };
        if option_ack {
            assert!(rig.sender.poll_option_ack(now));
            assert_eq!(rig.blocks(), []); // DATA 1 only after ACK 0: RFC 2347
            rig.ack(0);
        }
        rig
    }

    fn ack(&mut self, block: u16) {
        self.now += MS;
        self.sender.handle_ack(self.now, block);
    }

    fn blocks(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.sender.poll_block(self.now)).collect()
    }
}

#[test]
fn lock_step() {
    // RFC 1350 §2: each block is acknowledged before the next is sent; a short block ends it.
    let mut rig = Rig::new(1, 3, false);
    for block in 1..=3 {
        assert_eq!(rig.blocks(), [block]);
        rig.ack(block as u16);
    }
    assert!(rig.sender.is_complete());
    assert_eq!(rig.sender.poll_timeout(), None);
}

#[test]
fn a_duplicate_never_makes_us_send() {
    // RFC 1123 §4.2.3.1
    let mut rig = Rig::new(1, 9, true);
    rig.ack(0);
    assert_eq!(rig.blocks(), [1]);
    rig.ack(0);
    assert_eq!(rig.blocks(), []);
    rig.ack(1);
    assert_eq!(rig.blocks(), [2]);
    rig.ack(1);
    rig.ack(1);
    rig.ack(7);
    assert_eq!(rig.blocks(), []);
}

#[test]
fn a_window_resumes_behind_the_block_named() {
    // RFC 7440 §4
    let mut rig = Rig::new(5, 20, true);
    assert_eq!(rig.blocks(), [1, 2, 3, 4, 5]);
    rig.ack(2);
    assert_eq!(rig.blocks(), [3, 4, 5, 6, 7]);
    rig.ack(7);
    assert_eq!(rig.blocks(), [8, 9, 10, 11, 12]);
    rig.ack(11);
    assert_eq!(rig.blocks(), [12, 13, 14, 15, 16]);
}

#[test]
fn a_first_block_lost_is_sent_once_per_gap() {
    // RFC 7440 §4; EDK2 acknowledges each block behind the gap.
    let mut rig = Rig::new(16, 100, true);
    assert_eq!(rig.blocks().len(), 16);
    for _ in 0..15 {
        rig.ack(0);
    }
    assert_eq!(rig.blocks(), (1..=16).collect::<Vec<_>>());
    assert_eq!(rig.sender.retransmits(), 16);
    rig.ack(16);
    assert_eq!(rig.blocks(), (17..=32).collect::<Vec<_>>());
}

#[test]
fn acknowledging_each_block_of_a_window_costs_one_window() {
    // RFC 7440 §4 lets a receiver acknowledge early; it must not multiply what we send.
    let mut rig = Rig::new(8, 64, true);
    let mut sent = rig.blocks().len();
    for block in 1..=8 {
        rig.now -= MS * 9 / 10;
        rig.ack(block);
        sent += rig.blocks().len();
    }
    assert!(sent <= 8 + 8 + 8, "{sent}");
}

#[test]
fn block_numbers_wrap() {
    // RFC 1350 §5: two octets; 0 follows 65535 (1 by rule).
    for (rollover, expected) in [(Rollover::Zero, [65535, 0, 1]), (Rollover::One, [65535, 1, 2])] {
        let mut rig = Rig::new(1, 200_000, false);
        rig.sender.rollover = rollover;
        let mut seen = Vec::new();
        for block in 1..=200_000 {
            assert_eq!(rig.blocks(), [block]);
            let number = rig.sender.wire_number(block);
            if (65535..65538).contains(&block) {
                seen.push(number);
            }
            rig.ack(number);
        }
        assert_eq!(seen, expected);
        assert!(rig.sender.is_complete());
    }
}

#[test]
fn silence_is_bounded() {
    // RFC 1350 §7: retransmission by time-out, and an end to it.
    let mut rig = Rig::new(4, 9, true);
    let mut sent = rig.blocks().len();
    let start = rig.now;
    while let Some(at) = rig.sender.poll_timeout() {
        rig.now = at;
        rig.sender.handle_timeout(at);
        sent += rig.blocks().len();
    }
    assert_eq!(rig.sender.outcome(), Some(Outcome::TimedOut));
    assert_eq!(sent, 4 * 7);
    assert!(rig.now - start <= Duration::from_secs(30));
}

#[test]
fn an_option_ack_is_retransmitted() {
    // RFC 2347: the OACK is a packet like any other.
    let mut rig = Rig::new(1, 9, false);
    rig.sender =
        Sender::new(rig.now, &SenderConfig { option_ack: true, last: Some(9), ..SenderConfig::default() });
    assert!(rig.sender.poll_option_ack(rig.now));
    assert!(!rig.sender.poll_option_ack(rig.now));
    rig.now = rig.sender.poll_timeout().unwrap();
    rig.sender.handle_timeout(rig.now);
    assert!(rig.sender.poll_option_ack(rig.now));
    rig.ack(0);
    assert_eq!(rig.blocks(), [1]);
}

#[test]
fn an_error_ends_it() {
    // RFC 1350 §7
    let mut rig = Rig::new(1, 9, false);
    rig.blocks();
    rig.sender.handle_error(ErrorCode::DiskFull);
    rig.ack(1);
    assert_eq!(rig.blocks(), []);
    assert_eq!(rig.sender.outcome(), Some(Outcome::Aborted(ErrorCode::DiskFull)));
}

#[test]
fn a_slow_source_costs_no_retries() {
    // Nothing is on its way, so the peer owes us nothing.
    let mut rig = Rig::new(1, 9, false);
    for _ in 0..100 {
        rig.now = rig.sender.poll_timeout().unwrap();
        rig.sender.handle_timeout(rig.now);
    }
    assert_eq!(rig.blocks(), [1]);
}

#[test]
fn a_gap_near_the_front_of_a_window_is_mended_within_a_round_trip() {
    // RFC 7440 §4: told long before the end of the window is there, and once.
    let mut rig = Rig::new(8, 100, false);
    rig.blocks();
    rig.ack(8); // a round trip of 1 ms
    assert_eq!(rig.blocks(), (9..=16).collect::<Vec<_>>());
    rig.now += MS / 10;
    rig.sender.handle_ack(rig.now, 10);
    assert_eq!(rig.blocks(), [17, 18]); // it may be a peer that names every block
    let deadline = rig.sender.poll_timeout().unwrap();
    assert!(deadline <= rig.now + MS);
    rig.now = deadline;
    rig.sender.handle_timeout(deadline);
    assert_eq!(rig.blocks(), (11..=18).collect::<Vec<_>>());
}

#[test]
fn a_first_block_that_was_lost_early_is_mended_in_the_measured_time() {
    // RFC 7440 §4; not after the second that a transfer without a measure waits.
    let mut rig = Rig::new(8, 100, false);
    rig.blocks();
    rig.ack(8);
    rig.blocks();
    rig.now += MS / 10;
    rig.sender.handle_ack(rig.now, 8); // block 9 was lost, and 10 came at once
    assert_eq!(rig.blocks(), []);
    let deadline = rig.sender.poll_timeout().unwrap();
    assert!(deadline <= rig.now + 20 * MS);
    rig.now = deadline;
    rig.sender.handle_timeout(deadline);
    assert_eq!(rig.blocks(), (9..=16).collect::<Vec<_>>());
}
