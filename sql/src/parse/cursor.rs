//! Reading the small statements by hand: a position in a statement's tokens.

use super::errors::syntax;
use super::keywords::{self, KeywordClass};
use super::lexer::offset_of;
use crate::Result;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

/// Words and values of one statement, from left to right.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a Arc<str>,
    pub(super) tokens: &'a [TokenWithSpan],
    pub(super) at: usize,
    /// Where the statement ends in `text`.
    pub(super) end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a Arc<str>, tokens: &'a [TokenWithSpan], end: usize) -> Cursor<'a> {
        Cursor { text, tokens, at: 0, end }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    /// The unquoted word `ahead` tokens on.
    pub(super) fn word_at(&self, ahead: usize) -> Option<&'a str> {
        match self.tokens.get(self.at + ahead).map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_none() => Some(&w.value),
            _ => None,
        }
    }

    pub(super) fn word(&self) -> Option<&'a str> {
        self.word_at(0)
    }

    /// Takes the words if they stand there in this order.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate().all(|(i, w)| self.word_at(i) == Some(w));
        if there {
            self.at += words.len();
        }
        there
    }

    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        let there = self.peek() == Some(token);
        if there {
            self.at += 1;
        }
        there
    }

    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        for word in words {
            if !self.take(&[word]) {
                return Err(self.error());
            }
        }
        Ok(())
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// The syntax error at this place.
    pub(super) fn error(&self) -> crate::SqlError {
        syntax(self.text, self.tokens.get(self.at), self.end)
    }

    pub(super) fn offset(&self) -> usize {
        self.tokens.get(self.at).and_then(|t| offset_of(t.span)).unwrap_or(self.end)
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn finish(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// A name that is no reserved word.
    pub(super) fn name(&mut self) -> Result<String> {
        let Some(Token::Word(word)) = self.peek() else { return Err(self.error()) };
        let reserved = word.quote_style.is_none()
            && matches!(
                keywords::class(&word.value),
                Some(KeywordClass::Reserved | KeywordClass::FunctionOrType)
            );
        if reserved {
            return Err(self.error());
        }
        self.at += 1;
        Ok(word.value.clone())
    }

    /// Any word, reserved or not.
    pub(super) fn label(&mut self) -> Result<String> {
        let Some(Token::Word(word)) = self.peek() else { return Err(self.error()) };
        self.at += 1;
        Ok(word.value.clone())
    }

    pub(super) fn string(&mut self) -> Result<String> {
        let Some(Token::SingleQuotedString(value)) = self.peek() else { return Err(self.error()) };
        self.at += 1;
        Ok(value.clone())
    }

    /// `[+|-] digits`, when one stands here.
    pub(super) fn integer(&mut self) -> Result<Option<i64>> {
        let start = self.at;
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let Some(Token::Number(digits, _)) = self.peek() else {
            if self.at != start {
                return Err(self.error());
            }
            return Ok(None);
        };
        let value: i64 = digits.parse().map_err(|_| self.error())?;
        self.at += 1;
        Ok(Some(if negative { -value } else { value }))
    }

    /// Names with commas between them.
    pub(super) fn names(&mut self) -> Result<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.take_token(&Token::Comma) {
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// `a.b.c`.
    pub(super) fn qualified(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.take_token(&Token::Period) {
            parts.push(self.label()?);
        }
        Ok(parts)
    }
}
