//! Runs a program (text/template, exec.go) on stacks of its own. Called by [`Template::render`](crate::Template::render);
//! knows no recursion, so depth costs memory that is bounded, not the thread's stack.

use std::borrow::Cow;

use crate::builtins::{Budget, Builtin, Refusal};
use crate::code::{Chunk, Op, Program, RangeInfo};
use crate::error::{RenderError, RenderErrorKind as Kind, RenderFault, place};
use crate::fault::Fault;
use crate::field::field;
use crate::fmt::{Sink, Stop, print_value};
use crate::limits::Limits;
use crate::slot::Slot;
use crate::template::MissingKey;
use crate::value::Value;
use crate::walk::Walk;

/// The longest piece of a template that an error shows.
const CONTEXT: usize = 120;

/// One template being run; the innermost is last.
struct Frame {
    chunk: usize,
    /// Where to go on.
    at: usize,
    /// Where its own variables start.
    variables: usize,
}

struct Loop<'a> {
    walk: Walk<'a>,
    info: RangeInfo,
    variables: usize,
    dots: usize,
    marks: usize,
}

pub(crate) struct Machine<'a, 'o> {
    program: &'a Program,
    name: &'a str,
    missing_key: MissingKey,
    limits: &'a Limits,
    out: &'o mut Vec<u8>,
    /// How long `out` may become.
    max: usize,
    budget: Budget,
    stack: Vec<Slot<'a>>,
    variables: Vec<(u32, Slot<'a>)>,
    marks: Vec<usize>,
    dots: Vec<Slot<'a>>,
    loops: Vec<Loop<'a>>,
    frames: Vec<Frame>,
    /// The instruction in work.
    at: usize,
}

impl<'a, 'o> Machine<'a, 'o> {
    pub(crate) fn new(
        program: &'a Program,
        name: &'a str,
        missing_key: MissingKey,
        limits: &'a Limits,
        out: &'o mut Vec<u8>,
    ) -> Self {
        let max = out.len().saturating_add(limits.output);
        Self {
            program,
            name,
            missing_key,
            limits,
            out,
            max,
            budget: Budget { memory: limits.memory, steps: limits.steps },
            stack: Vec::new(),
            variables: Vec::new(),
            marks: Vec::new(),
            dots: Vec::new(),
            loops: Vec::new(),
            frames: Vec::new(),
            at: 0,
        }
    }

    /// Renders `data`.
    pub(crate) fn run(mut self, data: &'a Value) -> Result<(), RenderError> {
        let data = Slot::Typed(Cow::Borrowed(data)).unbox();
        self.enter(self.program.root, data);
        while let Some(frame) = self.frames.last() {
            let (chunk, at) = (frame.chunk, frame.at);
            if let Err(fault) = self.run_chunk(chunk, at) {
                return Err(self.locate(fault));
            }
        }
        Ok(())
    }

    fn enter(&mut self, chunk: usize, data: Slot<'a>) {
        self.frames.push(Frame { chunk, at: 0, variables: self.variables.len() });
        // `$` is the first variable the parser numbers.
        self.variables.push((0, data.clone()));
        self.dots.push(data);
    }

    /// Runs until another template is entered or this one ends.
    fn run_chunk(&mut self, chunk: usize, mut at: usize) -> Result<(), Fault> {
        let program = self.program;
        let ops = program.chunks.get(chunk).map_or(&[][..], |chunk| &chunk.ops);
        loop {
            let Some(&op) = ops.get(at) else {
                self.frames.pop();
                return Ok(());
            };
            self.at = at;
            self.work(1)?;
            at += 1;
            match op {
                Op::Text { start, end } => {
                    let text = program.source.get(start as usize..end as usize).unwrap_or_default();
                    self.write(text)?;
                }
                Op::Dot => {
                    let dot = self.dots.last().cloned().unwrap_or_default();
                    self.stack.push(dot);
                }
                Op::Nil => self.stack.push(Slot::Invalid),
                Op::Const(number) => match program.constants.get(number as usize) {
                    Some(value) => self.stack.push(Slot::Typed(Cow::Borrowed(value))),
                    None => self.stack.push(Slot::Invalid),
                },
                Op::Variable(name) => {
                    let value = self.find(name)?.clone();
                    self.stack.push(value);
                }
                Op::Field { first, count } => self.fields(first, count, None)?,
                Op::DotField { first, count } => {
                    let value = self.dot_fields(first, count)?;
                    self.stack.push(value);
                }
                Op::FieldCall { first, count, piped } => self.fields(first, count, Some(piped))?,
                Op::Unbox => {
                    let top = self.pop().unbox();
                    self.stack.push(top);
                }
                Op::Declare(name) => {
                    let value = self.stack.last().cloned().unwrap_or_default();
                    self.variables.push((name, value));
                }
                Op::Assign(name) => {
                    let value = self.stack.last().cloned().unwrap_or_default();
                    *self.find(name)? = value;
                }
                Op::Print => {
                    let value = self.pop();
                    self.print(&value)?;
                }
                Op::PrintField { first, count } => {
                    let value = self.dot_fields(first, count)?;
                    self.print(&value)?;
                }
                Op::Drop => {
                    self.stack.pop();
                }
                Op::Builtin { function, count, piped } => self.builtin(function, count as usize, piped)?,
                Op::Extra { function, count, piped } => {
                    self.extra(function as usize, count as usize, piped)?
                }
                Op::ShortCircuit { on, target } => {
                    if self.stack.last().is_some_and(Slot::is_true) == on {
                        at = target as usize;
                    } else {
                        self.stack.pop();
                    }
                }
                Op::Nip => {
                    let top = self.pop();
                    self.stack.pop();
                    self.stack.push(top);
                }
                Op::Fail(number) => {
                    let message = program.faults.get(number as usize).cloned().unwrap_or_default();
                    return Err(Fault::new(Kind::Type, message));
                }
                Op::Mark => self.marks.push(self.variables.len()),
                Op::Unmark => {
                    let mark = self.marks.pop().unwrap_or_default();
                    self.variables.truncate(mark);
                }
                Op::Jump(target) => at = target as usize,
                Op::IfFalse(target) => {
                    if !self.pop().is_true() {
                        at = target as usize;
                    }
                }
                Op::With(target) => {
                    let value = self.pop();
                    if value.is_true() {
                        self.dots.push(value.unbox());
                    } else {
                        at = target as usize;
                    }
                }
                Op::EndWith => {
                    self.dots.pop();
                }
                Op::Range(number) => {
                    let info = program.ranges.get(number as usize).copied().unwrap_or_default();
                    at = self.range(info)?;
                }
                Op::Next | Op::Continue => at = self.turn()?,
                Op::Break => {
                    if let Some(ended) = self.loops.pop() {
                        self.unwind(&ended);
                        at = ended.info.end as usize;
                    }
                }
                Op::Template(number) => {
                    self.call_template(number as usize, at)?;
                    return Ok(());
                }
                Op::Return => {
                    self.dots.pop();
                    if let Some(frame) = self.frames.pop() {
                        self.variables.truncate(frame.variables);
                    }
                    return Ok(());
                }
            }
        }
    }

    fn pop(&mut self) -> Slot<'a> {
        self.stack.pop().unwrap_or_default()
    }

    /// The nearest variable of that name in this template. A long way to it counts as work.
    fn find(&mut self, name: u32) -> Result<&mut Slot<'a>, Fault> {
        let base = self.frames.last().map_or(0, |frame| frame.variables);
        let own = self.variables.get(base..).unwrap_or_default();
        let Some(back) = own.iter().rev().position(|(number, _)| *number == name) else {
            let name = self.program.variables.get(name as usize).map(|name| String::from_utf8_lossy(name));
            let message = format!("undefined variable: {}", name.unwrap_or_default());
            return Err(Fault::new(Kind::UndefinedVariable, message));
        };
        self.budget.steps = self.budget.steps.saturating_sub(u64::try_from(back / 64).unwrap_or(u64::MAX));
        let at = self.variables.len() - 1 - back;
        match self.variables.get_mut(at) {
            Some((_, value)) => Ok(value),
            None => Err(Fault::new(Kind::UndefinedVariable, "undefined variable")),
        }
    }

    /// `.a.b.c` of the top. With arguments (`Some`) the last field must not be one (text/template: `evalField`).
    fn fields(&mut self, first: u32, count: u32, called: Option<bool>) -> Result<(), Fault> {
        let program = self.program;
        let names = program.fields.get(first as usize..).unwrap_or_default();
        let mut value = self.pop();
        for (at, name) in names.iter().take(count as usize).enumerate() {
            let given = called.is_some() && at + 1 == count as usize;
            value = field(&value, name, given, self.missing_key)?;
        }
        self.work(count / 16)?;
        if called == Some(true) {
            self.stack.pop();
        }
        self.stack.push(value);
        Ok(())
    }

    /// `.a.b.c` of the cursor.
    fn dot_fields(&mut self, first: u32, count: u32) -> Result<Slot<'a>, Fault> {
        let program = self.program;
        let names = program.fields.get(first as usize..).unwrap_or_default();
        let mut names = names.iter().take(count as usize);
        let (Some(name), Some(dot)) = (names.next(), self.dots.last()) else { return Ok(Slot::Invalid) };
        let mut value = field(dot, name, false, self.missing_key)?;
        for name in names {
            value = field(&value, name, false, self.missing_key)?;
        }
        self.work(count / 16)?;
        Ok(value)
    }

    /// Counts what takes long.
    fn work(&mut self, steps: u32) -> Result<(), Fault> {
        match self.budget.steps.checked_sub(u64::from(steps)) {
            Some(left) => {
                self.budget.steps = left;
                Ok(())
            }
            None => Err(self.steps_fault()),
        }
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Fault> {
        let mut sink = Sink::new(self.out, self.max, &mut self.budget.steps);
        sink.push(text).map_err(|stop| self.stopped(stop))
    }

    fn print(&mut self, value: &Slot<'a>) -> Result<(), Fault> {
        match value.concrete() {
            None => self.write(b"<no value>"),
            Some(Value::Function(_)) => Err(Fault::new(Kind::Type, "can't print a value of type func")),
            Some(value) => {
                let mut sink = Sink::new(self.out, self.max, &mut self.budget.steps);
                print_value(&mut sink, value).map_err(|stop| self.stopped(stop))
            }
        }
    }

    fn stopped(&self, stop: Stop) -> Fault {
        match stop {
            Stop::Full => Fault::new(
                Kind::OutputLimit,
                format!("exceeded maximum length of the output ({} bytes)", self.limits.output),
            ),
            Stop::Work => self.steps_fault(),
            Stop::Deep => Fault::nesting(),
        }
    }

    /// Puts a piped value behind the arguments, where it belongs, and says where they start.
    fn gather(&mut self, count: usize, piped: bool) -> usize {
        let from = self.stack.len().saturating_sub(count + usize::from(piped));
        if piped && let Some(arguments) = self.stack.get_mut(from..) {
            arguments.rotate_left(1.min(arguments.len()));
        }
        from
    }

    fn builtin(&mut self, function: Builtin, count: usize, piped: bool) -> Result<(), Fault> {
        let from = self.gather(count, piped);
        let arguments = self.stack.get(from..).unwrap_or_default();
        let result = function
            .call(arguments, &mut self.budget)
            .map_err(|refusal| self.refused(refusal, function.name()))?;
        self.stack.truncate(from);
        self.stack.push(result);
        Ok(())
    }

    fn extra(&mut self, function: usize, count: usize, piped: bool) -> Result<(), Fault> {
        let from = self.gather(count, piped);
        let Some((name, function)) = self.program.extras.get(function) else { return Ok(()) };
        let arguments: Vec<_> =
            self.stack.get(from..).unwrap_or_default().iter().map(Slot::to_value).collect();
        function
            .check(arguments.len())
            .map_err(|want| Fault::new(Kind::Call, format!("wrong number of args for {name}: {want}")))?;
        let result = function
            .call(&arguments)
            .map_err(|message| Fault::new(Kind::Call, format!("error calling {name}: {message}")))?;
        self.budget.take_result(&result).map_err(|refusal| self.refused(refusal, name))?;
        self.stack.truncate(from);
        self.stack.push(Slot::Boxed(Cow::Owned(result)));
        Ok(())
    }

    /// Starts a loop over the top; says where to go on.
    fn range(&mut self, info: RangeInfo) -> Result<usize, Fault> {
        let walk = Walk::over(self.pop(), info.names.1.is_some())
            .map_err(|message| Fault::new(Kind::Type, message))?;
        let Some(mut walk) = walk else { return Ok(info.otherwise as usize) };
        match walk.next() {
            None => Ok(info.otherwise as usize),
            Some((index, element)) => {
                let (variables, dots, marks) = (self.variables.len(), self.dots.len(), self.marks.len());
                self.loops.push(Loop { walk, info, variables, dots, marks });
                self.start_turn(info, index, element)?;
                Ok(info.body as usize)
            }
        }
    }

    /// The next turn of the innermost loop; says where to go on.
    fn turn(&mut self) -> Result<usize, Fault> {
        let Some(mut innermost) = self.loops.pop() else { return Ok(usize::MAX) };
        self.unwind(&innermost);
        let info = innermost.info;
        match innermost.walk.next() {
            None => Ok(info.end as usize),
            Some((index, element)) => {
                self.loops.push(innermost);
                self.start_turn(info, index, element)?;
                Ok(info.body as usize)
            }
        }
    }

    /// Forgets what the turn of a loop has put on the stacks.
    fn unwind(&mut self, ended: &Loop<'a>) {
        self.variables.truncate(ended.variables);
        self.dots.truncate(ended.dots);
        self.marks.truncate(ended.marks);
    }

    /// Sets the cursor and the variables of a turn. One variable is the element, two are index and element.
    fn start_turn(&mut self, info: RangeInfo, index: Slot<'a>, element: Slot<'a>) -> Result<(), Fault> {
        match (info.names, info.assign) {
            ((Some(first), Some(second)), true) => {
                *self.find(first)? = index;
                *self.find(second)? = element.clone();
            }
            ((Some(first), None), true) => *self.find(first)? = element.clone(),
            // Declared by the pipeline: they are on top.
            ((Some(_), second), false) => {
                let top = self.variables.len();
                if let Some((_, value)) = self.variables.get_mut(top.saturating_sub(1)) {
                    *value = element.clone();
                }
                if second.is_some()
                    && let Some((_, value)) = self.variables.get_mut(top.saturating_sub(2))
                {
                    *value = index;
                }
            }
            ((None, _), _) => {}
        }
        self.dots.push(element);
        Ok(())
    }

    /// Enters a template that the text names; `back` is where the caller goes on.
    fn call_template(&mut self, number: usize, back: usize) -> Result<(), Fault> {
        let (name, chunk) = match self.program.calls.get(number) {
            Some((name, chunk)) => (name, *chunk),
            None => return Err(Fault::new(Kind::UndefinedTemplate, "template not defined")),
        };
        let Some(chunk) = chunk else {
            let message = format!("template {:?} not defined", String::from_utf8_lossy(name));
            return Err(Fault::new(Kind::UndefinedTemplate, message));
        };
        if self.frames.len() > self.limits.depth {
            let message = format!("exceeded maximum template depth ({})", self.limits.depth);
            return Err(Fault::new(Kind::DepthLimit, message));
        }
        let data = self.pop().unbox();
        if let Some(frame) = self.frames.last_mut() {
            frame.at = back;
        }
        self.enter(chunk, data);
        Ok(())
    }

    /// What a function's refusal means for the rendering.
    fn refused(&self, refusal: Refusal, name: &str) -> Fault {
        match refusal {
            Refusal::Arguments(message) => Fault::new(Kind::Call, message),
            Refusal::Error(message) => Fault::new(Kind::Call, format!("error calling {name}: {message}")),
            Refusal::Memory => self.memory_fault(),
            Refusal::Steps => self.steps_fault(),
            Refusal::Depth => Fault::nesting(),
        }
    }

    fn steps_fault(&self) -> Fault {
        Fault::new(Kind::StepLimit, format!("exceeded maximum number of steps ({})", self.limits.steps))
    }

    fn memory_fault(&self) -> Fault {
        Fault::new(
            Kind::MemoryLimit,
            format!("exceeded maximum memory for strings ({} bytes)", self.limits.memory),
        )
    }

    /// Says where a fault happened.
    fn locate(&self, fault: Fault) -> RenderError {
        let source = &self.program.source;
        let frame = self.frames.last();
        let chunk = frame.and_then(|frame| self.program.chunks.get(frame.chunk));
        let span = |chunk: &Chunk| chunk.spans.get(self.at).copied();
        let (start, end) = chunk.and_then(span).unwrap_or_default();
        let (line, column) = place(source, start as usize);
        let text = String::from_utf8_lossy(source.get(start as usize..end as usize).unwrap_or_default());
        let mut context = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((at, _)) = context.char_indices().nth(CONTEXT) {
            context.truncate(at);
            context.push('…');
        }
        RenderError(Box::new(RenderFault {
            template: self.name.to_owned(),
            executing: chunk.map_or_else(String::new, |chunk| chunk.name.as_ref().to_owned()),
            line,
            column,
            context,
            key: fault.key,
            kind: fault.kind,
            message: fault.message,
        }))
    }
}
