//! Reads pipelines: declarations, commands, operands, parentheses. A part of the parser.
//!
//! Parentheses are kept on a stack of open pipelines, so that their depth costs no stack of the thread.

use std::sync::Arc;

use crate::builtins::Builtin;
use crate::code::{Op, RangeInfo};
use crate::lex::{Kind, Token};
use crate::number::{Literal, char_constant, complex_constant, number};
use crate::parse::{Parsed, Parser, offset};
use crate::quote::unquote;
use crate::value::Value;

/// Go's bounds (`maxStackDepth`, `maxPipelineCmds`).
const MAX_PARENS: usize = 10_000;
const MAX_COMMANDS: usize = 100_000;

/// A pipeline whose end is still to come.
struct Open {
    context: &'static str,
    end: Kind,
    start: Token,
    names: Vec<u32>,
    assign: bool,
    commands: usize,
    command: Option<Command>,
}

/// A command whose end is still to come.
struct Command {
    head: Head,
    /// Operands so far, the head included.
    operands: usize,
    /// Where its instructions start, and where those of its first argument do.
    from: usize,
    arguments: usize,
    /// The source of its first operand and of all of it so far.
    first: Token,
    end: usize,
    /// Jumps of `and` and `or` to its end.
    jumps: Vec<usize>,
}

/// The first operand of a command decides what the others mean.
#[derive(Clone, Copy)]
enum Head {
    None,
    Builtin(Builtin),
    Extra(u32),
    /// Ends in fields: the instruction is the last before the arguments.
    Field,
    Variable,
    Parens,
    /// A literal or the cursor.
    Plain,
    Nil,
}

enum State {
    /// Between commands.
    Commands,
    /// An operand is next.
    Operand,
    /// An operand has been read and may have fields after it.
    Suffix(Head, Token, usize),
}

impl Parser<'_> {
    /// Reads a pipeline up to its right delimiter and writes what computes it. Says whether it declares.
    pub(crate) fn pipeline(&mut self, context: &'static str, range: Option<&mut RangeInfo>) -> Parsed<bool> {
        let mut open = vec![self.open_pipeline(context, Kind::RightDelim)?];
        let mut state = State::Commands;
        loop {
            let depth = open.len();
            let Some(pipe) = open.last_mut() else { return Ok(false) };
            state = match state {
                State::Commands => {
                    let token = self.next_non_space();
                    if token.kind == pipe.end {
                        self.close_pipeline(pipe, token, depth > 1 || range.is_some())?;
                        let Some(closed) = open.pop() else { return Ok(false) };
                        if open.is_empty() {
                            if let Some(info) = range {
                                info.assign = closed.assign;
                                info.names = (closed.names.first().copied(), closed.names.get(1).copied());
                            }
                            return Ok(!closed.names.is_empty());
                        }
                        let from = closed.start.start;
                        State::Suffix(Head::Parens, Token { start: from, ..token }, token.end)
                    } else if starts_operand(token.kind) {
                        self.back(token);
                        pipe.commands += 1;
                        if pipe.commands > MAX_COMMANDS {
                            return Err(self.error(token, "pipeline too long"));
                        }
                        pipe.command = Some(Command::at(self.here(), token));
                        State::Operand
                    } else {
                        return Err(self.unexpected(token, pipe.context));
                    }
                }
                State::Operand => {
                    let token = self.next_non_space();
                    if token.kind == Kind::LeftParen {
                        if depth > MAX_PARENS {
                            return Err(self.error(token, "max expression depth exceeded"));
                        }
                        let mut inner = self.open_pipeline("parenthesized pipeline", Kind::RightParen)?;
                        inner.start = token;
                        open.push(inner);
                        State::Commands
                    } else if starts_operand(token.kind) {
                        let head = self.term(token)?;
                        State::Suffix(head, token, token.end)
                    } else {
                        self.back(token);
                        self.after_operand(pipe)?
                    }
                }
                State::Suffix(head, token, end) => {
                    let (head, end) = self.fields(head, token, end)?;
                    self.add_operand(pipe, head, token, end);
                    self.after_operand(pipe)?
                }
            };
        }
    }

    /// The declarations at the start of a pipeline.
    fn open_pipeline(&mut self, context: &'static str, end: Kind) -> Parsed<Open> {
        let start = self.next_non_space();
        self.back(start);
        let mut open =
            Open { context, end, start, names: Vec::new(), assign: false, commands: 0, command: None };
        loop {
            let variable = self.next_non_space();
            if variable.kind != Kind::Variable {
                self.back(variable);
                return Ok(open);
            }
            let after = self.next();
            let next = if after.kind == Kind::Space { self.next_non_space() } else { after };
            let comma = next.kind == Kind::Char && self.lexer.text(next) == b",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                // An argument after all.
                self.back(next);
                if after.kind == Kind::Space {
                    self.back(after);
                }
                self.back(variable);
                return Ok(open);
            }
            let name = self.variable_number(self.lexer.text(variable));
            open.names.push(name);
            if let Some(tree) = self.trees.last_mut() {
                tree.declare(name);
            }
            if !comma {
                open.assign = next.kind == Kind::Assign;
                return Ok(open);
            }
            if context != "range" || open.names.len() > 1 {
                return Err(self.error(next, &format!("too many declarations in {context}")));
            }
            let token = self.next_non_space();
            self.back(token);
            if !matches!(token.kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return Err(self.error(token, "range can only initialize variables"));
            }
        }
    }

    fn close_pipeline(&mut self, pipe: &Open, token: Token, used: bool) -> Parsed<()> {
        if pipe.commands == 0 {
            return Err(self.error(token, &format!("missing value for {}", pipe.context)));
        }
        if used || !pipe.names.is_empty() {
            self.emit(Op::Unbox, pipe.start);
        }
        for &name in &pipe.names {
            let op = if pipe.assign { Op::Assign(name) } else { Op::Declare(name) };
            self.emit(op, pipe.start);
        }
        Ok(())
    }

    /// What may follow an operand: a space and another, a bar, or the end of the pipeline.
    fn after_operand(&mut self, pipe: &mut Open) -> Parsed<State> {
        let token = self.next();
        match token.kind {
            Kind::Space => return Ok(State::Operand),
            Kind::RightDelim | Kind::RightParen => self.back(token),
            Kind::Pipe => {}
            _ => return Err(self.unexpected(token, "operand")),
        }
        let Some(command) = pipe.command.take() else { return Ok(State::Commands) };
        let piped = pipe.commands > 1;
        if piped && matches!(command.head, Head::Plain | Head::Nil) {
            let message = format!("non executable command in pipeline stage {}", pipe.commands);
            return Err(self.error(command.first, &message));
        }
        self.close_command(command, piped);
        if token.kind == Kind::Pipe {
            self.emit(Op::Unbox, token);
        }
        Ok(State::Commands)
    }

    /// A single operand that is not in parentheses: writes what pushes it, unless it is a function's name.
    fn term(&mut self, token: Token) -> Parsed<Head> {
        let text = self.lexer.text(token);
        match token.kind {
            Kind::Identifier => {
                if let Some(function) = self.functions.get(text) {
                    let name = String::from_utf8_lossy(text).into_owned();
                    let at = match self.program.extras.iter().position(|(known, _)| *known == name) {
                        Some(at) => at,
                        None => {
                            self.program.extras.push((name, function.clone()));
                            self.program.extras.len() - 1
                        }
                    };
                    return Ok(Head::Extra(offset(at)));
                }
                match Builtin::named(text) {
                    Some(function) => Ok(Head::Builtin(function)),
                    None => {
                        let message = format!("function {:?} not defined", String::from_utf8_lossy(text));
                        Err(self.error(token, &message))
                    }
                }
            }
            Kind::Nil => {
                self.emit(Op::Nil, token);
                Ok(Head::Nil)
            }
            Kind::Variable => {
                let name = self.variable_number(text);
                if !self.trees.last().is_some_and(|tree| tree.is_declared(name)) {
                    let message = format!("undefined variable {:?}", String::from_utf8_lossy(text));
                    return Err(self.error(token, &message));
                }
                self.emit(Op::Variable(name), token);
                Ok(Head::Variable)
            }
            Kind::Field => {
                self.emit(Op::Dot, token);
                self.back(token);
                Ok(Head::Field)
            }
            Kind::Bool => self.constant(Value::Bool(text == b"true"), token),
            Kind::String | Kind::RawString => match unquote(text) {
                Some(text) => self.constant(Value::String(text.into()), token),
                None => Err(self.error(token, "invalid syntax")),
            },
            Kind::CharConstant | Kind::Number | Kind::Complex => {
                let spelled = String::from_utf8_lossy(text);
                let literal = match token.kind {
                    Kind::CharConstant => char_constant(text),
                    Kind::Number => number(&spelled),
                    _ => complex_constant(&spelled),
                };
                match literal {
                    Ok(Literal::Value(value)) => self.constant(value, token),
                    Ok(Literal::Overflow) => {
                        self.fail(format!("{spelled} overflows int"), token.start, token.end);
                        Ok(Head::Plain)
                    }
                    Err(message) => Err(self.error(token, &message)),
                }
            }
            _ => {
                self.emit(Op::Dot, token);
                Ok(Head::Plain)
            }
        }
    }

    fn constant(&mut self, value: Value, token: Token) -> Parsed<Head> {
        let at = offset(self.program.constants.len());
        self.program.constants.push(value);
        self.emit(Op::Const(at), token);
        Ok(Head::Plain)
    }

    /// The fields right after an operand.
    fn fields(&mut self, head: Head, token: Token, mut end: usize) -> Parsed<(Head, usize)> {
        let first = self.program.fields.len();
        loop {
            let field = self.next();
            if field.kind != Kind::Field {
                self.back(field);
                break;
            }
            let name = self.lexer.text(field).get(1..).unwrap_or_default();
            self.program.fields.push(Arc::from(name));
            end = field.end;
        }
        let count = self.program.fields.len() - first;
        if count == 0 {
            return Ok((head, end));
        }
        match head {
            Head::Plain | Head::Nil => {
                let text = String::from_utf8_lossy(self.lexer.text(token));
                return Err(self.error(token, &format!("unexpected . after term {text:?}")));
            }
            Head::Builtin(_) | Head::Extra(_) => self.call(head, 0, false, token.start, token.end),
            _ => {}
        }
        let (first, count) = (offset(first), offset(count));
        if token.kind == Kind::Field {
            // In the place of the cursor itself.
            let at = self.here() as usize;
            self.truncate(at.saturating_sub(1));
            self.emit_span(Op::DotField { first, count }, token.start, end);
        } else {
            self.emit_span(Op::Field { first, count }, token.start, end);
        }
        Ok((Head::Field, end))
    }

    /// Takes an operand into the open command.
    fn add_operand(&mut self, pipe: &mut Open, head: Head, token: Token, end: usize) {
        let Some(command) = &mut pipe.command else { return };
        command.end = end;
        command.operands += 1;
        if command.operands == 1 {
            command.head = head;
            command.first = Token { end, ..token };
            command.arguments = self.here() as usize;
            return;
        }
        if matches!(head, Head::Builtin(_) | Head::Extra(_)) {
            self.call(head, 0, false, token.start, end);
        }
        if let Head::Builtin(function @ (Builtin::And | Builtin::Or)) = command.head {
            let on = function == Builtin::Or;
            command.jumps.push(self.emit(Op::ShortCircuit { on, target: 0 }, token));
        }
    }

    fn call(&mut self, head: Head, count: usize, piped: bool, start: usize, end: usize) {
        let count = offset(count);
        match head {
            Head::Builtin(function) => self.emit_span(Op::Builtin { function, count, piped }, start, end),
            Head::Extra(function) => self.emit_span(Op::Extra { function, count, piped }, start, end),
            _ => 0,
        };
    }

    fn fail(&mut self, message: String, start: usize, end: usize) {
        let at = offset(self.program.faults.len());
        self.program.faults.push(message);
        self.emit_span(Op::Fail(at), start, end);
    }

    fn close_command(&mut self, mut command: Command, piped: bool) {
        let Command { head, operands, first, end, .. } = command;
        let arguments = operands.saturating_sub(1);
        let given = arguments > 0 || piped;
        let spelled = || String::from_utf8_lossy(self.lexer.text(first)).into_owned();
        match head {
            Head::Builtin(Builtin::And | Builtin::Or) if given => {
                // The last operand is the result, whatever it is.
                if !piped && let Some(last) = command.jumps.pop() {
                    self.truncate(last);
                }
                let over = piped.then(|| self.emit(Op::Jump(0), first));
                let target = self.here();
                for at in command.jumps {
                    let on = matches!(head, Head::Builtin(Builtin::Or));
                    self.patch(at, Op::ShortCircuit { on, target });
                }
                if let Some(over) = over {
                    self.emit(Op::Nip, first);
                    let here = self.here();
                    self.patch(over, Op::Jump(here));
                }
            }
            Head::Builtin(_) | Head::Extra(_) => self.call(head, arguments, piped, first.start, end),
            Head::Field if given => {
                self.truncate(command.arguments);
                let last = command.arguments.saturating_sub(1);
                match self.trees.last().and_then(|tree| tree.chunk.ops.get(last)).copied() {
                    Some(Op::Field { first, count }) => {
                        self.patch(last, Op::FieldCall { first, count, piped })
                    }
                    Some(Op::DotField { first: from, count }) => {
                        self.patch(last, Op::Dot);
                        self.emit_span(Op::FieldCall { first: from, count, piped }, first.start, end);
                    }
                    _ => {}
                }
            }
            Head::Variable if given => {
                let message = format!("can't give argument to non-function {}", spelled());
                self.truncate(command.arguments);
                self.fail(message, first.start, end);
            }
            Head::Parens | Head::Plain | Head::Nil if given => {
                let message = format!("can't give argument to non-function {}", spelled());
                self.truncate(command.from);
                self.fail(message, first.start, end);
            }
            Head::Nil => {
                self.truncate(command.from);
                self.fail("nil is not a command".to_owned(), first.start, end);
            }
            Head::None | Head::Field | Head::Variable | Head::Parens | Head::Plain => {}
        }
    }
}

impl Command {
    fn at(from: u32, first: Token) -> Self {
        let from = from as usize;
        Self {
            head: Head::None,
            operands: 0,
            from,
            arguments: from,
            first,
            end: first.end,
            jumps: Vec::new(),
        }
    }
}

fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharConstant
            | Kind::Complex
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen
    )
}
