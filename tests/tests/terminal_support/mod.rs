//! A terminal of a test: a pseudo-terminal that a program runs on, the questions that are answered on it, and the screen
//! that a person would see.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

/// Columns of the terminal; lines are as long as they want below it.
const WIDTH: u16 = 160;
const TICK: Duration = Duration::from_millis(100);

/// What a person sees, with everything that has scrolled away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    rest: Vec<u8>,
}

impl Screen {
    /// The lines without the blanks at their ends.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Takes octets as a terminal does (ECMA-48: cursor movements §8.3, erasing, line feed; colours are left out).
    fn feed(&mut self, octets: &[u8]) {
        self.rest.extend(octets);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let taken: Vec<u8> = self.rest.drain(..whole).collect();
        let text = String::from_utf8(taken).unwrap();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\u{1b}' => {
                    if characters.next() != Some('[') {
                        continue;
                    }
                    // Up to its final character (ECMA-48 §5.4).
                    let mut sequence = String::new();
                    for character in characters.by_ref() {
                        sequence.push(character);
                        if ('@'..='~').contains(&character) {
                            break;
                        }
                    }
                    self.control(&sequence);
                }
                '\n' => {
                    self.row += 1;
                    self.column = 0;
                }
                '\r' => self.column = 0,
                '\u{8}' => self.column = self.column.saturating_sub(1),
                other if !other.is_control() => self.put(other),
                _ => {}
            }
        }
    }

    fn put(&mut self, character: char) {
        if self.column >= usize::from(WIDTH) {
            self.row += 1;
            self.column = 0;
        }
        let line = self.line();
        let column = line.1;
        if line.0.len() <= column {
            line.0.resize(column + 1, ' ');
        }
        line.0[column] = character;
        self.column += 1;
    }

    fn line(&mut self) -> (&mut Vec<char>, usize) {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        (&mut self.lines[self.row], self.column)
    }

    fn control(&mut self, sequence: &str) {
        let end = sequence.chars().last().unwrap_or_default();
        let number = sequence.trim_end_matches(end).trim_start_matches('?').parse::<usize>();
        let count = number.clone().unwrap_or(1);
        match end {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'G' => self.column = count.saturating_sub(1),
            'K' => {
                let whole = number == Ok(2);
                let (line, column) = self.line();
                line.truncate(if whole { 0 } else { column });
            }
            'J' => {
                let (line, column) = self.line();
                line.truncate(column);
                self.lines.truncate(self.row + 1);
            }
            _ => {}
        }
    }
}

/// Runs a program on a terminal of its own and answers `y` to each question `[y/N]`; `seen` is shown the screen whenever
/// it has changed. Returns the exit code and the last screen.
pub(crate) fn run(command: &mut Command, limit: Duration, mut seen: impl FnMut(&Screen)) -> (i32, Screen) {
    let size = Winsize { ws_row: 40, ws_col: WIDTH, ws_xpixel: 0, ws_ypixel: 0 };
    let ends = openpty(&size, None).unwrap();
    let slave = || Stdio::from(ends.slave.try_clone().unwrap());
    let mut child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    // Ours are closed, so that the last of the program's is the last there is.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(ends.slave);
    let mut master = File::from(ends.master);
    let mut keyboard = master.try_clone().unwrap();
    let (sender, chunks) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut screen, mut answered, begin) = (Screen::default(), 0, Instant::now());
    loop {
        match chunks.recv_timeout(TICK) {
            Ok(chunk) => {
                screen.feed(&chunk);
                seen(&screen);
                let asked = screen.text().matches("[y/N]").count();
                if asked > answered {
                    answered = asked;
                    keyboard.write_all(b"y\n").unwrap();
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end in {limit:?}:\n{}", screen.text());
        }
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    (status.code().unwrap_or(-1), screen)
}

#[test]
fn a_screen_is_what_a_person_sees() {
    let mut screen = Screen::default();
    screen.feed(b"one\r\ntwo\r\n\x1b[2A\x1b[2Kfirst\r\n\x1b[1mse");
    screen.feed(b"cond\x1b[0m\x1b[K\r\n\xe2\x96");
    screen.feed(b"\x88 done\n\x1b[?25l");
    assert_eq!(screen.text(), "first\nsecond\n\u{2588} done");
    let mut redrawn = Screen::default();
    redrawn.feed(b"a\r\nb\r\nc\x1b[2A\r\x1b[Jx");
    assert_eq!(redrawn.text(), "x");
}
