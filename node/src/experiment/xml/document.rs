//! XML-RPC documents: values, `methodCall` and `methodResponse`, as <http://xmlrpc.com/spec.md> has them, with `nil`.
//!
//! Invariant: what is written reads back as it was; a document that is none is refused with a reason.
//!
//! Deliberately absent: doubles, dates and faults, which no message has, and negative integers. Integers may have 64
//! bits, as with most libraries, though the specification stops at 32.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::Reader;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// How deep values may be nested: twice what the deepest message needs.
const MAX_DEPTH: usize = 8;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `<int>`.
    Int(u64),
    /// `<boolean>`.
    Bool(bool),
    /// `<string>`.
    Text(String),
    /// `<base64>`.
    Bytes(Vec<u8>),
    /// `<array>`.
    Array(Vec<Value>),
    /// `<struct>`.
    Struct(BTreeMap<String, Value>),
    /// `<nil/>`.
    Nil,
}

/// A document that calls a method.
pub(super) fn write_call(method: &str, params: Vec<Value>) -> String {
    let mut page = Page::new();
    page.within("methodCall", |page| {
        page.leaf("methodName", method);
        page.params(params);
    });
    page.text()
}

/// A document that answers a call.
pub(super) fn write_response(value: Value) -> String {
    let mut page = Page::new();
    page.within("methodResponse", |page| page.params(vec![value]));
    page.text()
}

/// The method that a document calls, and its parameters.
///
/// # Errors
/// What is wrong with the document.
pub(super) fn read_call(document: &str) -> Result<(String, Vec<Value>), String> {
    let mut source = Source::new(document);
    source.open("methodCall")?;
    source.open("methodName")?;
    let method = source.text_until("methodName")?;
    let params = source.params()?;
    source.close("methodCall")?;
    source.end()?;
    Ok((method, params))
}

/// The value that a document answers with.
///
/// # Errors
/// What is wrong with the document.
pub(super) fn read_response(document: &str) -> Result<Value, String> {
    let mut source = Source::new(document);
    source.open("methodResponse")?;
    let params = source.params()?;
    source.close("methodResponse")?;
    source.end()?;
    let [value] = <[Value; 1]>::try_from(params).map_err(|_| "a response has one value")?;
    Ok(value)
}

/// A document that is being written. Writing into memory does not fail.
struct Page(Writer<Vec<u8>>);

impl Page {
    fn new() -> Page {
        let mut page = Page(Writer::new(Vec::new()));
        page.put(Event::Decl(BytesDecl::new("1.0", None, None)));
        page
    }

    fn put(&mut self, event: Event) {
        self.0.write_event(event).expect("memory takes everything");
    }

    fn within(&mut self, name: &str, content: impl FnOnce(&mut Page)) {
        self.put(Event::Start(BytesStart::new(name)));
        content(self);
        self.put(Event::End(BytesEnd::new(name)));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.within(name, |page| page.put(Event::Text(BytesText::new(text))));
    }

    fn params(&mut self, values: Vec<Value>) {
        self.within("params", |page| {
            for value in values {
                page.within("param", |page| page.value(value));
            }
        });
    }

    fn value(&mut self, value: Value) {
        self.within("value", |page| match value {
            Value::Int(number) => page.leaf("int", &number.to_string()),
            Value::Bool(is) => page.leaf("boolean", if is { "1" } else { "0" }),
            Value::Text(text) => page.leaf("string", &text),
            Value::Bytes(bytes) => page.leaf("base64", &BASE64.encode(bytes)),
            Value::Nil => page.put(Event::Empty(BytesStart::new("nil"))),
            Value::Array(values) => page.within("array", |page| {
                page.within("data", |page| values.into_iter().for_each(|value| page.value(value)));
            }),
            Value::Struct(members) => page.within("struct", |page| {
                for (name, value) in members {
                    page.within("member", |page| {
                        page.leaf("name", &name);
                        page.value(value);
                    });
                }
            }),
        });
    }

    fn text(self) -> String {
        String::from_utf8(self.0.into_inner()).expect("texts make a text")
    }
}

/// A document that is being read.
struct Source<'a>(Reader<&'a [u8]>);

/// A step in a document: all that XML-RPC has.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Open(String),
    Close(String),
    Text(String),
    End,
}

impl Source<'_> {
    fn new(document: &str) -> Source<'_> {
        let mut reader = Reader::from_str(document);
        reader.config_mut().expand_empty_elements = true;
        Source(reader)
    }

    /// The next step that is not the declaration.
    fn step(&mut self) -> Result<Step, String> {
        loop {
            return match self.0.read_event().map_err(|error| format!("this is no XML: {error}"))? {
                Event::Start(tag) => Ok(Step::Open(tag.to_string())),
                Event::End(tag) => Ok(Step::Close(tag.to_string())),
                Event::Text(text) => Ok(Step::Text(text.to_string())),
                Event::Decl(_) => continue,
                Event::Eof => Ok(Step::End),
                other => Err(format!("`{}` has no place in an XML-RPC document", &*other)),
            };
        }
    }

    fn expect(&mut self, step: Step) -> Result<(), String> {
        match self.step()? {
            found if found == step => Ok(()),
            found => Err(format!("expected {step:?}, found {found:?}")),
        }
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        self.expect(Step::Open(name.to_owned()))
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        self.expect(Step::Close(name.to_owned()))
    }

    fn end(&mut self) -> Result<(), String> {
        self.expect(Step::End)
    }

    /// The text of an element that was opened, which may be empty.
    fn text_until(&mut self, name: &str) -> Result<String, String> {
        match self.step()? {
            Step::Text(text) => self.close(name).map(|()| text),
            Step::Close(closed) if closed == name => Ok(String::new()),
            found => Err(format!("expected the text of {name}, found {found:?}")),
        }
    }

    /// Items between `outer` tags, each of which begins with an `inner` tag, until the outer one is closed.
    fn items<T>(
        &mut self,
        outer: &str,
        inner: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        loop {
            match self.step()? {
                Step::Open(name) if name == inner => items.push(item(self)?),
                Step::Close(name) if name == outer => return Ok(items),
                found => return Err(format!("expected {inner} in {outer}, found {found:?}")),
            }
        }
    }

    fn params(&mut self) -> Result<Vec<Value>, String> {
        self.open("params")?;
        self.items("params", "param", |source| {
            source.open("value")?;
            let value = source.value(MAX_DEPTH)?;
            source.close("param").map(|()| value)
        })
    }

    /// The rest of a value that was opened.
    fn value(&mut self, depth: usize) -> Result<Value, String> {
        let depth = depth.checked_sub(1).ok_or_else(|| format!("values are nested deeper than {MAX_DEPTH}"))?;
        let Step::Open(kind) = self.step()? else { return Err("a value without a type".into()) };
        let value = match kind.as_str() {
            "struct" => Value::Struct(self.items("struct", "member", |s| s.member(depth))?.into_iter().collect()),
            "array" => {
                self.open("data")?;
                let values = self.items("data", "value", |source| source.value(depth))?;
                self.close("array").map(|()| Value::Array(values))?
            }
            _ => scalar(&kind, self.text_until(&kind)?)?,
        };
        self.close("value").map(|()| value)
    }

    fn member(&mut self, depth: usize) -> Result<(String, Value), String> {
        self.open("name")?;
        let name = self.text_until("name")?;
        self.open("value")?;
        let value = self.value(depth)?;
        self.close("member").map(|()| (name, value))
    }
}

fn scalar(kind: &str, text: String) -> Result<Value, String> {
    match (kind, text.as_str()) {
        ("int", digits) => digits.parse().map(Value::Int).map_err(|_| format!("`{digits}` is no int of a message")),
        ("boolean", "0" | "1") => Ok(Value::Bool(text == "1")),
        ("string", _) => Ok(Value::Text(text)),
        ("base64", code) => BASE64.decode(code).map(Value::Bytes).map_err(|error| format!("bad base64: {error}")),
        ("nil", "") => Ok(Value::Nil),
        _ => Err(format!("`{text}` is no value of the type {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_as_it_was_written() {
        let members = [("a", Value::Int(u64::MAX)), ("b", Value::Bool(true)), ("c", Value::Text(String::new()))];
        let value = Value::Array(vec![
            Value::Struct(members.map(|(name, value)| (name.to_owned(), value)).into()),
            Value::Bytes(b"\r\n<&>\0".to_vec()),
            Value::Nil,
            Value::Array(vec![]),
            Value::Text("n1".into()),
            Value::Bool(false),
        ]);
        let call = write_call("raft.x", vec![value.clone(), Value::Nil]);
        assert!(call.starts_with(r#"<?xml version="1.0"?><methodCall><methodName>raft.x</methodName><params><param>"#));
        assert_eq!(read_call(&call), Ok(("raft.x".to_owned(), vec![value.clone(), Value::Nil])));
        assert_eq!(read_response(&write_response(value.clone())), Ok(value));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let value = |text: &str| read_response(&write_response(Value::Nil).replace("<nil/>", text));
        assert_eq!(value("<int>7</int>"), Ok(Value::Int(7)));
        for wrong in [
            "",
            "7",
            "<int>-1</int>",
            "<int>&#55;</int>",
            "<boolean>2</boolean>",
            "<base64>*</base64>",
            "<double>1.5</double>",
            "<int>7",
            "<array></array>",
            "<struct><member><name>a</name></member></struct>",
            "<!DOCTYPE a><int>7</int>",
        ] {
            assert!(value(wrong).is_err(), "{wrong}");
        }
        assert!(read_response("").is_err());
        assert!(read_response(&write_call("x", vec![Value::Nil])).is_err());
        assert!(read_response(&(write_response(Value::Nil) + "<more/>")).is_err());
        let deep = |depth| {
            let value = (0..depth).fold(Value::Nil, |inner, _| Value::Array(vec![inner]));
            read_response(&write_response(value))
        };
        assert!(deep(MAX_DEPTH - 1).is_ok());
        assert!(deep(MAX_DEPTH).unwrap_err().contains("deeper"));
    }
}
