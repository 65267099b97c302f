//! Reads the metrics and labels that an expression of PromQL names.

use std::collections::BTreeSet;

/// A metric with the labels that an expression expects of it: those of its matchers, and those of aggregations around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: BTreeSet<String>,
    /// Label matchers: name, operator, value.
    pub matchers: Vec<(String, String, String)>,
}

/// Returns the values that a matcher names: its text, or the alternatives of a regular expression such as `a|b` or
/// `.*/(a|b)`.
pub fn values<'a>(operator: &str, text: &'a str) -> Vec<&'a str> {
    if !operator.ends_with('~') {
        return vec![text];
    }
    let alternatives = match text.split_once('(') {
        Some((_, rest)) => rest.strip_suffix(')').unwrap_or(rest),
        None => text,
    };
    alternatives.split('|').collect()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// Numbers, durations and operators.
    Other(String),
}

fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (token, length) = if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let length = end(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            (Token::Word(rest[..length].to_owned()), length)
        } else if first == '"' {
            let inner = rest[1..].find('"').ok_or("a text without an end")?;
            (Token::Text(rest[1..=inner].to_owned()), inner + 2)
        } else if first.is_ascii_digit() {
            let length = end(|c| c.is_ascii_alphanumeric() || c == '.');
            (Token::Other(rest[..length].to_owned()), length)
        } else {
            let operators = ["=~", "!~", "!=", "==", ">=", "<="];
            let length =
                if operators.iter().any(|operator| rest.starts_with(operator)) { 2 } else { 1 };
            if !"(){}[],+-*/%<>=!~".contains(first) {
                return Err(format!("{first:?} is not part of an expression"));
            }
            (Token::Other(rest[..length].to_owned()), length)
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

const FUNCTIONS: [&str; 7] =
    ["abs", "rate", "increase", "sum", "max", "time", "histogram_quantile"];

/// Returns the selectors of an expression.
///
/// # Errors
/// If the expression is not one, or has parts that this reader does not know.
pub fn selectors(expression: &str) -> Result<Vec<Selector>, String> {
    let tokens = tokens(expression)?;
    let is = |at: usize, text: &str| tokens.get(at) == Some(&Token::Other(text.to_owned()));
    let (mut found, mut open): (Vec<Selector>, Vec<char>) = (Vec::new(), Vec::new());
    // The labels of the aggregations around the current place, with the depth of their parentheses.
    let mut groups: Vec<(usize, BTreeSet<String>)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Word(word) if word == "by" => {
                let close =
                    (at..tokens.len()).find(|at| is(*at, ")")).ok_or("by without an end")?;
                let labels = tokens[at + 2..close].iter().filter_map(|token| match token {
                    Token::Word(label) => Some(label.clone()),
                    _ => None,
                });
                if !is(at + 1, "(") || !is(close + 1, "(") {
                    return Err("write `sum by (labels) (expression)`".to_owned());
                }
                groups.push((open.len() + 1, labels.collect()));
                at = close + 1;
                continue;
            }
            Token::Word(word)
                if is(at + 1, "(") || tokens.get(at + 1) == Some(&Token::Word("by".into())) =>
            {
                if !FUNCTIONS.contains(&&**word) {
                    return Err(format!("{word} is not a known function"));
                }
            }
            Token::Word(metric) => {
                let mut selector = Selector { metric: metric.clone(), ..Selector::default() };
                if is(at + 1, "{") {
                    at += 2;
                    loop {
                        let matcher = (tokens.get(at), tokens.get(at + 1), tokens.get(at + 2));
                        let (
                            Some(Token::Word(label)),
                            Some(Token::Other(operator)),
                            Some(Token::Text(value)),
                        ) = matcher
                        else {
                            return Err(format!("a matcher of {metric} is not valid"));
                        };
                        if !["=", "!=", "=~", "!~"].contains(&&**operator) {
                            return Err(format!("{operator} is not the operator of a matcher"));
                        }
                        selector.labels.insert(label.clone());
                        selector.matchers.push((label.clone(), operator.clone(), value.clone()));
                        at += 3;
                        if is(at, "}") {
                            break;
                        }
                        if !is(at, ",") {
                            return Err(format!("the matchers of {metric} have no end"));
                        }
                        at += 1;
                    }
                }
                selector.labels.extend(groups.iter().flat_map(|(_, labels)| labels.clone()));
                found.push(selector);
            }
            Token::Other(operator) => match operator.as_str() {
                "(" => open.push(')'),
                "[" => open.push(']'),
                ")" | "]" => {
                    if open.pop().map(String::from).as_ref() != Some(operator) {
                        return Err(format!("{operator} closes nothing"));
                    }
                    groups.retain(|(depth, _)| *depth <= open.len());
                }
                _ => {}
            },
            Token::Text(text) => return Err(format!("the text {text:?} is not a value")),
        }
        at += 1;
    }
    if open.is_empty() { Ok(found) } else { Err(format!("{open:?} is missing")) }
}

#[test]
fn a_matcher_names_values() {
    assert_eq!(values("!=", "a|b"), ["a|b"]);
    assert_eq!(values("=~", "a|b"), ["a", "b"]);
    assert_eq!(values("!~", ".*/(a|b)"), ["a", "b"]);
}

#[test]
fn selectors_have_their_own_labels_and_those_of_aggregations() {
    let text = "histogram_quantile(0.99, sum by (le, a) (rate(x_bucket{b=\"1\", c!~\"u|v\"}[5m]))) / sum(y) > 2 * time()";
    let found = selectors(text).unwrap();
    let labels: Vec<Vec<&str>> =
        found.iter().map(|one| one.labels.iter().map(String::as_str).collect()).collect();
    assert_eq!(labels, [vec!["a", "b", "c", "le"], vec![]]);
    assert_eq!((&*found[0].metric, &*found[1].metric), ("x_bucket", "y"));
    assert_eq!(found[0].matchers[1], ("c".into(), "!~".into(), "u|v".into()));
    for bad in [
        "sum(x",
        "x)",
        "rat(x)",
        "x{a=1}",
        "x{a=\"1\"",
        "x{a>\"1\"}",
        "x; y",
        "\"x\"",
        "sum by (a) x",
    ] {
        selectors(bad).unwrap_err();
    }
}
