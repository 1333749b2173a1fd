//! Reads a template (text/template/parse, parse.go) and writes the program for it in one pass, without recursion.
//! Called by [`Template::parse`](crate::Template::parse); control actions here, pipelines in `pipeline`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::code::{Chunk, Op, Program, RangeInfo};
use crate::error::{ParseError, place};
use crate::functions::Functions;
use crate::lex::{Kind, Lexer, Token};
use crate::quote::unquote;
use crate::unicode::is_blank;

/// A template being read: the root, a `define` or a `block`, with what its own text has declared.
pub(crate) struct Tree {
    pub(crate) name: Vec<u8>,
    pub(crate) chunk: Chunk,
    /// Where its definition starts.
    start: usize,
    /// The variables in scope, by number, in the order of their declarations.
    scope: Vec<u32>,
    /// How often each is in scope.
    declared: HashMap<u32, usize>,
    ranges: usize,
}

impl Tree {
    pub(crate) fn declare(&mut self, variable: u32) {
        self.scope.push(variable);
        *self.declared.entry(variable).or_default() += 1;
    }

    pub(crate) fn is_declared(&self, variable: u32) -> bool {
        self.declared.get(&variable).is_some_and(|&count| count > 0)
    }

    fn leave(&mut self, scope: usize) {
        for variable in self.scope.drain(scope.min(self.scope.len())..) {
            if let Some(count) = self.declared.get_mut(&variable) {
                *count -= 1;
            }
        }
    }
}

/// A control action whose `{{end}}` is still to come.
enum Control {
    If(Branch),
    With(Branch),
    Range(Branch, usize),
    Define,
    Block,
}

/// The two ways of a branch.
struct Branch {
    /// Variables in scope before it.
    scope: usize,
    /// The jump to the other way: its place in the program.
    otherwise: usize,
    /// The jump over the other way, once `{{else}}` was seen.
    over: Option<usize>,
    /// Stands after `{{else`: the `{{end}}` of this one ends the one around it too.
    chained: bool,
}

pub(crate) struct Parser<'s> {
    pub(crate) name: &'s str,
    pub(crate) lexer: Lexer<'s>,
    pub(crate) functions: &'s Functions,
    /// Tokens given back, the next one last.
    peeked: Vec<Token>,
    last: Token,
    /// Where the action in work started.
    action: usize,
    pub(crate) program: Program,
    pub(crate) trees: Vec<Tree>,
    controls: Vec<Control>,
    numbers: HashMap<Vec<u8>, u32>,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;

/// Reads `source`.
pub(crate) fn parse(name: &str, source: &[u8], functions: &Functions) -> Parsed<Program> {
    let too_large = || ParseError {
        template: name.to_owned(),
        line: 1,
        column: 1,
        message: "template too large".to_owned(),
    };
    if u32::try_from(source.len()).is_err() {
        return Err(too_large());
    }
    let lexer = Lexer::new(source, functions.get(b"break").is_some(), functions.get(b"continue").is_some());
    let program = Program { source: Arc::from(source), ..Program::default() };
    let mut parser = Parser {
        name,
        lexer,
        functions,
        peeked: Vec::new(),
        last: Token { kind: Kind::Text, start: 0, end: 0 },
        action: 0,
        program,
        trees: Vec::new(),
        controls: Vec::new(),
        numbers: HashMap::new(),
    };
    parser.open_tree(name.as_bytes().to_vec());
    parser.run()?;
    parser.close_tree()?;
    let mut program = parser.program;
    program.root = program.templates.get(name.as_bytes()).copied().unwrap_or_default();
    for (name, chunk) in &mut program.calls {
        *chunk = program.templates.get(name).copied();
    }
    Ok(program)
}

impl Parser<'_> {
    fn run(&mut self) -> Parsed<()> {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Text => self.text(token),
                Kind::LeftDelim => {
                    self.action = token.start;
                    self.action()?;
                }
                Kind::Eof if self.controls.is_empty() => return Ok(()),
                Kind::Eof => return Err(self.error(token, "unexpected EOF")),
                _ => return Err(self.unexpected(token, "input")),
            }
        }
    }

    fn text(&mut self, token: Token) {
        if !is_blank(self.lexer.text(token)) {
            self.chunk().blank = false;
        }
        let (start, end) = (offset(token.start), offset(token.end));
        self.emit(Op::Text { start, end }, token);
    }

    /// One action; its left delimiter is past.
    fn action(&mut self) -> Parsed<()> {
        let token = self.next_non_space();
        if token.kind == Kind::Define && self.controls.is_empty() {
            let name = self.template_name("define clause")?;
            self.expect(Kind::RightDelim, "define clause")?;
            self.controls.push(Control::Define);
            self.open_tree(name);
            return Ok(());
        }
        if !matches!(token.kind, Kind::End | Kind::Else) {
            self.chunk().blank = false;
        }
        match token.kind {
            Kind::Block => {
                let name = self.template_name("block clause")?;
                self.pipeline("block clause", None)?;
                self.call_template(name.clone(), token);
                self.controls.push(Control::Block);
                self.open_tree(name);
                Ok(())
            }
            Kind::Break | Kind::Continue => {
                let (op, context) = match token.kind {
                    Kind::Break => (Op::Break, "{{break}}"),
                    _ => (Op::Continue, "{{continue}}"),
                };
                self.expect(Kind::RightDelim, context)?;
                if self.trees.last().is_none_or(|tree| tree.ranges == 0) {
                    return Err(self.error(token, &format!("{context} outside {{{{range}}}}")));
                }
                self.emit(op, token);
                Ok(())
            }
            Kind::Else => self.otherwise(token),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                self.end(token)
            }
            Kind::If | Kind::With | Kind::Range => self.branch(token, false),
            Kind::Template => {
                let name = self.template_name("template clause")?;
                let next = self.next_non_space();
                if next.kind == Kind::RightDelim {
                    self.emit(Op::Nil, token);
                } else {
                    self.back(next);
                    self.pipeline("template clause", None)?;
                }
                self.call_template(name, token);
                Ok(())
            }
            _ => {
                self.back(token);
                let from = self.here();
                if self.pipeline("command", None)? {
                    self.emit(Op::Drop, token);
                } else {
                    self.print(from, token);
                }
                Ok(())
            }
        }
    }

    /// Writes what prints the value that the instructions since `from` make; nothing but a field is one step.
    fn print(&mut self, from: u32, token: Token) {
        let alone = self.here() == from + 1;
        match self.chunk().ops.last().copied() {
            Some(Op::DotField { first, count }) if alone => {
                self.patch(from as usize, Op::PrintField { first, count });
            }
            _ => {
                self.emit(Op::Print, token);
            }
        }
    }

    /// The head of an `if`, `with` or `range`, up to its right delimiter.
    fn branch(&mut self, token: Token, chained: bool) -> Parsed<()> {
        let scope = self.trees.last().map_or(0, |tree| tree.scope.len());
        self.emit(Op::Mark, token);
        let mut branch = Branch { scope, otherwise: 0, over: None, chained };
        let control = match token.kind {
            Kind::Range => {
                let mut info = RangeInfo::default();
                self.pipeline("range", Some(&mut info))?;
                let at = self.program.ranges.len();
                self.emit(Op::Range(offset(at)), token);
                info.body = self.here();
                self.program.ranges.push(info);
                if let Some(tree) = self.trees.last_mut() {
                    tree.ranges += 1;
                }
                Control::Range(branch, at)
            }
            Kind::With => {
                self.pipeline("with", None)?;
                branch.otherwise = self.emit(Op::With(0), token);
                Control::With(branch)
            }
            _ => {
                self.pipeline("if", None)?;
                branch.otherwise = self.emit(Op::IfFalse(0), token);
                Control::If(branch)
            }
        };
        self.controls.push(control);
        Ok(())
    }

    /// `{{else}}`, `{{else if}}` and `{{else with}}`.
    fn otherwise(&mut self, token: Token) -> Parsed<()> {
        let next = self.next_non_space();
        if !matches!(next.kind, Kind::RightDelim | Kind::If | Kind::With) {
            return Err(self.unexpected(next, "else"));
        }
        let Some(mut control) = self.controls.pop() else {
            return Err(self.error(token, "unexpected {{else}}"));
        };
        let chain = match (&control, next.kind) {
            (Control::Define, _) => return Err(self.error(token, "unexpected {{else}} in define clause")),
            (Control::Block, _) => return Err(self.error(token, "unexpected {{else}} in block clause")),
            (Control::If(_), Kind::If) | (Control::With(_), Kind::With) => true,
            (_, Kind::RightDelim) => false,
            _ => return Err(self.unexpected(next, "input")),
        };
        self.leave_body(&control, token);
        let branch = match &mut control {
            Control::If(branch) | Control::With(branch) | Control::Range(branch, _) => branch,
            Control::Define | Control::Block => return Err(self.error(token, "unexpected {{else}}")),
        };
        if branch.over.is_some() {
            return Err(self.error(token, "expected end; found {{else}}"));
        }
        branch.over = Some(self.emit(Op::Jump(0), token));
        self.controls.push(control);
        self.patch_otherwise();
        if chain { self.branch(next, true) } else { Ok(()) }
    }

    /// The end of the way that is taken when the condition holds.
    fn leave_body(&mut self, control: &Control, token: Token) {
        match control {
            Control::With(Branch { over: None, .. }) => {
                self.emit(Op::EndWith, token);
            }
            Control::Range(Branch { over: None, .. }, _) => {
                self.emit(Op::Next, token);
                if let Some(tree) = self.trees.last_mut() {
                    tree.ranges -= 1;
                }
            }
            _ => {}
        }
    }

    /// Points the jump of the innermost branch here.
    fn patch_otherwise(&mut self) {
        let here = self.here();
        match self.controls.last() {
            Some(Control::If(branch)) => {
                let at = branch.otherwise;
                self.patch(at, Op::IfFalse(here));
            }
            Some(Control::With(branch)) => {
                let at = branch.otherwise;
                self.patch(at, Op::With(here));
            }
            Some(&Control::Range(_, at)) => {
                if let Some(info) = self.program.ranges.get_mut(at) {
                    info.otherwise = here;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, token: Token) -> Parsed<()> {
        loop {
            let Some(control) = self.controls.last() else {
                return Err(self.error(token, "unexpected {{end}}"));
            };
            let (scope, over, chained) = match control {
                Control::Define | Control::Block => {
                    self.controls.pop();
                    return self.close_tree();
                }
                Control::If(branch) | Control::With(branch) | Control::Range(branch, _) => {
                    (branch.scope, branch.over, branch.chained)
                }
            };
            match over {
                Some(jump) => {
                    let here = self.here();
                    self.patch(jump, Op::Jump(here));
                }
                None => {
                    if let Some(control) = self.controls.pop() {
                        self.leave_body(&control, token);
                        self.controls.push(control);
                    }
                    self.patch_otherwise();
                }
            }
            let here = self.here();
            if let Some(&Control::Range(_, at)) = self.controls.last()
                && let Some(info) = self.program.ranges.get_mut(at)
            {
                info.end = here;
            }
            self.emit(Op::Unmark, token);
            self.controls.pop();
            if let Some(tree) = self.trees.last_mut() {
                tree.leave(scope);
            }
            if !chained {
                return Ok(());
            }
        }
    }

    fn call_template(&mut self, name: Vec<u8>, token: Token) {
        let at = self.program.calls.len();
        self.program.calls.push((name, None));
        self.emit(Op::Template(offset(at)), token);
    }

    fn template_name(&mut self, context: &str) -> Parsed<Vec<u8>> {
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        unquote(self.lexer.text(token)).ok_or_else(|| self.error(token, "invalid syntax"))
    }

    fn open_tree(&mut self, name: Vec<u8>) {
        let chunk =
            Chunk { name: String::from_utf8_lossy(&name).as_ref().into(), blank: true, ..Chunk::default() };
        let dollar = self.variable_number(b"$");
        let mut tree =
            Tree { name, chunk, start: self.action, scope: Vec::new(), declared: HashMap::new(), ranges: 0 };
        tree.declare(dollar);
        self.trees.push(tree);
    }

    /// Files a finished template under its name: a blank one replaces nothing but a blank one, and two
    /// with content are an error.
    fn close_tree(&mut self) -> Parsed<()> {
        self.emit(Op::Return, self.last);
        let Some(Tree { name, chunk, start, .. }) = self.trees.pop() else { return Ok(()) };
        let old = self.program.templates.get(&name).and_then(|&at| self.program.chunks.get(at));
        if old.is_none_or(|old| old.blank) {
            self.program.templates.insert(name, self.program.chunks.len());
            self.program.chunks.push(chunk);
        } else if !chunk.blank {
            let message = format!("multiple definition of template {:?}", chunk.name);
            return Err(self.error(Token { start, ..self.last }, &message));
        }
        Ok(())
    }

    // What follows serves pipelines too.

    fn chunk(&mut self) -> &mut Chunk {
        if self.trees.is_empty() {
            self.open_tree(Vec::new());
        }
        let last = self.trees.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "there is a tree: the lines above see to it")]
        &mut self.trees[last].chunk
    }

    /// Adds an instruction and returns its place.
    pub(crate) fn emit(&mut self, op: Op, token: Token) -> usize {
        self.emit_span(op, token.start, token.end)
    }

    pub(crate) fn emit_span(&mut self, op: Op, start: usize, end: usize) -> usize {
        let chunk = self.chunk();
        chunk.ops.push(op);
        chunk.spans.push((offset(start), offset(end)));
        chunk.ops.len() - 1
    }

    pub(crate) fn here(&mut self) -> u32 {
        offset(self.chunk().ops.len())
    }

    pub(crate) fn patch(&mut self, at: usize, op: Op) {
        if let Some(old) = self.chunk().ops.get_mut(at) {
            *old = op;
        }
    }

    /// Forgets the instructions from `at` on.
    pub(crate) fn truncate(&mut self, at: usize) {
        let chunk = self.chunk();
        chunk.ops.truncate(at);
        chunk.spans.truncate(at);
    }

    pub(crate) fn variable_number(&mut self, name: &[u8]) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = offset(self.program.variables.len());
        self.program.variables.push(Arc::from(name));
        self.numbers.insert(name.to_vec(), number);
        number
    }

    pub(crate) fn next(&mut self) -> Token {
        let token = self.peeked.pop().unwrap_or_else(|| self.lexer.next_token());
        self.last = token;
        token
    }

    pub(crate) fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    /// Gives a token back; tokens given back come in reverse order.
    pub(crate) fn back(&mut self, token: Token) {
        self.peeked.push(token);
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<()> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(()) } else { Err(self.unexpected(token, context)) }
    }

    pub(crate) fn unexpected(&self, token: Token, context: &str) -> ParseError {
        match token.kind {
            Kind::Error => {
                let (started, _) = place(&self.program.source, self.action);
                let mut error = self.error(token, self.lexer.error());
                if error.line > started {
                    let started = format!(" in action started at line {started}");
                    // Not "unclosed action in action".
                    let from = if error.message.ends_with(" action") { " in action".len() } else { 0 };
                    error.message.push_str(started.get(from..).unwrap_or_default());
                }
                error
            }
            Kind::Eof => self.error(token, &format!("unexpected EOF in {context}")),
            _ => {
                let text = String::from_utf8_lossy(self.lexer.text(token));
                let short: String = text.chars().take(20).collect();
                self.error(token, &format!("unexpected {short:?} in {context}"))
            }
        }
    }

    pub(crate) fn error(&self, token: Token, message: &str) -> ParseError {
        let (line, column) = place(&self.program.source, token.start);
        ParseError { template: self.name.to_owned(), line, column, message: message.to_owned() }
    }
}

/// Offsets fit: the source does, and it has more bytes than anything counted in it.
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
