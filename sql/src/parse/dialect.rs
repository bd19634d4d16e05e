//! Our dialect of the `sqlparser` crate: PostgreSQL's precedence (gram.y), its reserved words, and
//! the expression forms that the crate reads otherwise.

use super::keywords::{self, KeywordClass};
use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Ident, ObjectName, TypedString, UnaryOperator, Value, ValueWithSpan,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// PostgreSQL as its grammar reads it.
#[derive(Debug)]
pub(super) struct PhantomDialect;

// Binding strengths, weakest first, in the order of gram.y.
const OR: u8 = 10;
const AND: u8 = 20;
const NOT: u8 = 30;
const IS: u8 = 40;
const COMPARISON: u8 = 50;
const BETWEEN_LIKE: u8 = 60;
const OTHER_OPERATOR: u8 = 70;
const PLUS_MINUS: u8 = 80;
const MULTIPLY: u8 = 90;
const CARET: u8 = 100;
const AT_TIME_ZONE: u8 = 110;
const COLLATE: u8 = 120;
const UNARY_MINUS: u8 = 125;
const SUBSCRIPT: u8 = 130;
const TYPE_CAST: u8 = 140;
const PERIOD: u8 = 200;

type Parsed = Result<Expr, ParserError>;

impl Dialect for PhantomDialect {
    // Where the crate asks for the dialect by type, ours is PostgreSQL's.
    fn dialect(&self) -> std::any::TypeId {
        std::any::TypeId::of::<PostgreSqlDialect>()
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('"')
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => PERIOD,
            Precedence::DoubleColon => TYPE_CAST,
            Precedence::AtTz => AT_TIME_ZONE,
            Precedence::MulDivModOp => MULTIPLY,
            Precedence::PlusMinus => PLUS_MINUS,
            Precedence::Caret => CARET,
            Precedence::Ampersand
            | Precedence::Pipe
            | Precedence::Colon
            | Precedence::Xor
            | Precedence::PgOther => OTHER_OPERATOR,
            Precedence::Between | Precedence::Like => BETWEEN_LIKE,
            Precedence::Eq => COMPARISON,
            Precedence::Is => IS,
            Precedence::UnaryNot => NOT,
            Precedence::And => AND,
            Precedence::Or => OR,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let strength = match &parser.peek_token_ref().token {
            Token::Word(word) => match word.keyword {
                Keyword::COLLATE => COLLATE,
                Keyword::NOTNULL => IS,
                Keyword::NoKeyword if word.value == "isnull" && word.quote_style.is_none() => IS,
                Keyword::OPERATOR => OTHER_OPERATOR,
                Keyword::REGEXP | Keyword::RLIKE | Keyword::DIV | Keyword::XOR => self.prec_unknown(),
                _ => return None,
            },
            Token::LBracket => SUBSCRIPT,
            Token::Caret => CARET,
            Token::Mul | Token::Div | Token::Mod => MULTIPLY,
            Token::Plus | Token::Minus => PLUS_MINUS,
            token if is_other_operator(token) => OTHER_OPERATOR,
            Token::Colon | Token::Assignment | Token::RArrow => self.prec_unknown(),
            _ => return None,
        };
        Some(Ok(strength))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Parsed> {
        prefix(parser)
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Parsed> {
        infix(parser, left, precedence)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(class_of(keyword), Some(KeywordClass::Reserved | KeywordClass::FunctionOrType))
    }

    fn is_select_item_alias(&self, explicit: bool, keyword: &Keyword, _: &mut Parser) -> bool {
        explicit || keywords::is_bare_label(&word_of(*keyword))
    }

    fn is_column_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        keywords::is_bare_label(&word_of(*keyword))
    }

    // SET is no reserved word, but `UPDATE t SET` must not take it for an alias.
    fn is_table_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        *keyword != Keyword::SET && !self.is_reserved_for_identifier(*keyword)
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        if explicit {
            !self.is_reserved_for_identifier(*keyword)
        } else {
            self.is_table_alias(keyword, parser)
        }
    }

    fn is_table_factor(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        !matches!(class_of(*keyword), Some(KeywordClass::Reserved))
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }
    fn supports_group_by_expr(&self) -> bool {
        true
    }
    fn supports_alter_user_as_alter_role(&self) -> bool {
        true
    }
    fn allow_extract_custom(&self) -> bool {
        true
    }
    fn allow_extract_single_quotes(&self) -> bool {
        true
    }
    fn supports_create_index_with_clause(&self) -> bool {
        true
    }
    fn supports_explain_with_utility_options(&self) -> bool {
        true
    }
    fn supports_listen_notify(&self) -> bool {
        true
    }
    fn supports_exclude_constraint(&self) -> bool {
        true
    }
    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }
    fn supports_comment_on(&self) -> bool {
        true
    }
    fn supports_load_extension(&self) -> bool {
        true
    }
    fn supports_empty_projections(&self) -> bool {
        true
    }
    fn supports_nested_comments(&self) -> bool {
        true
    }
    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }
    fn supports_order_by_using_operator(&self) -> bool {
        true
    }
    fn supports_set_names(&self) -> bool {
        true
    }
    fn supports_alter_column_type_using(&self) -> bool {
        true
    }
    fn supports_interval_options(&self) -> bool {
        true
    }
    fn supports_insert_table_alias(&self) -> bool {
        true
    }
    fn supports_create_table_like_parenthesized(&self) -> bool {
        true
    }
    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }
    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }
    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }
    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }
    fn supports_left_associative_joins_without_parens(&self) -> bool {
        false
    }
    fn supports_subquery_as_function_arg(&self) -> bool {
        false
    }
    fn supports_lambda_functions(&self) -> bool {
        false
    }
    fn supports_dictionary_syntax(&self) -> bool {
        false
    }
}

fn word_of(keyword: Keyword) -> String {
    format!("{keyword:?}").to_ascii_lowercase()
}

fn class_of(keyword: Keyword) -> Option<KeywordClass> {
    if keyword == Keyword::NoKeyword { None } else { keywords::class(&word_of(keyword)) }
}

fn is_other_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::CustomBinaryOperator(_)
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
    )
}

/// The start of an expression, where the crate's own reading differs or is slow; `None`: leave it
/// to the crate.
fn prefix(parser: &mut Parser) -> Option<Parsed> {
    let token = parser.peek_token_ref().clone();
    let value = match token.token {
        Token::Number(digits, long) => Value::Number(digits, long),
        Token::SingleQuotedString(s) => Value::SingleQuotedString(s),
        Token::NationalStringLiteral(s) => Value::NationalStringLiteral(s),
        Token::HexStringLiteral(s) => Value::HexStringLiteral(s),
        Token::SingleQuotedByteStringLiteral(s) => Value::SingleQuotedByteStringLiteral(s),
        Token::Placeholder(name) => Value::Placeholder(name),
        Token::Minus => return Some(unary(parser, UnaryOperator::Minus, UNARY_MINUS)),
        Token::Plus => return Some(unary(parser, UnaryOperator::Plus, UNARY_MINUS)),
        Token::Tilde => return Some(unary(parser, UnaryOperator::BitwiseNot, OTHER_OPERATOR)),
        Token::CustomBinaryOperator(ref name) => {
            let operator = prefix_operator(name)?;
            return Some(unary(parser, operator, OTHER_OPERATOR));
        }
        Token::Word(ref word) => return word_prefix(parser, word, &token),
        Token::Colon => return Some(parser.expected_ref("an expression", &token)),
        _ => return None,
    };
    parser.advance_token();
    Some(Ok(Expr::Value(ValueWithSpan { value, span: token.span })))
}

fn prefix_operator(name: &str) -> Option<UnaryOperator> {
    Some(match name {
        "@" => UnaryOperator::PGAbs,
        "@@" => UnaryOperator::DoubleAt,
        "@-@" => UnaryOperator::AtDashAt,
        "|/" => UnaryOperator::PGSquareRoot,
        "||/" => UnaryOperator::PGCubeRoot,
        "!!" => UnaryOperator::PGPrefixFactorial,
        "#" => UnaryOperator::Hash,
        "?-" => UnaryOperator::QuestionDash,
        "?|" => UnaryOperator::QuestionPipe,
        _ => return None,
    })
}

fn unary(parser: &mut Parser, op: UnaryOperator, strength: u8) -> Parsed {
    parser.advance_token();
    Ok(Expr::UnaryOp { op, expr: Box::new(parser.parse_subexpr(strength)?) })
}

/// An expression that starts with a word: typed literal, special form, call or column.
fn word_prefix(parser: &mut Parser, word: &Word, token: &TokenWithSpan) -> Option<Parsed> {
    let quoted = word.quote_style.is_some();
    let next = parser.peek_nth_token_ref(1).token.clone();
    if !quoted {
        match word.value.as_str() {
            "case" => {
                parser.advance_token();
                return Some(parser.parse_case_expr());
            }
            "cast" if next == Token::LParen => {
                parser.advance_token();
                return Some(parser.parse_cast_expr(CastKind::Cast));
            }
            // Only INSERT and UPDATE may go on to use it: the binder says so.
            "default" => {
                parser.advance_token();
                return Some(Ok(Expr::Identifier(word.clone().into_ident(token.span))));
            }
            "variadic" => return Some(variadic(parser, word, token)),
            "interval" if matches!(next, Token::SingleQuotedString(_) | Token::LParen) => return None,
            "true" | "false" => {
                parser.advance_token();
                let value = Value::Boolean(word.value == "true");
                return Some(Ok(Expr::Value(ValueWithSpan { value, span: token.span })));
            }
            "null" => {
                parser.advance_token();
                return Some(Ok(Expr::Value(ValueWithSpan { value: Value::Null, span: token.span })));
            }
            "timestamp" | "time" | "double" | "character" | "char" | "varchar" | "numeric" | "decimal"
            | "dec" | "bit" | "float" | "nchar" | "national" => {
                if let Ok(Some(literal)) = parser.maybe_parse(typed_literal) {
                    return Some(Ok(literal));
                }
            }
            "row" if next == Token::LParen => return Some(row(parser, word, token)),
            "exists" | "extract" | "position" | "substring" | "overlay" | "trim" | "array" | "not"
            | "current_catalog" | "current_user" | "session_user" | "user" | "current_timestamp"
            | "current_time" | "current_date" | "localtime" | "localtimestamp" | "xmlconcat"
            | "xmlelement" | "xmlforest" | "normalize" => return None,
            _ => {}
        }
        let class = keywords::class(&word.value);
        let is_session_word = matches!(word.value.as_str(), "current_role" | "current_schema");
        if class == Some(KeywordClass::Reserved) && !is_session_word {
            return Some(parser.expected_ref("an expression", token));
        }
        if class == Some(KeywordClass::FunctionOrType) && next != Token::LParen && !is_session_word {
            return Some(parser.expected_ref("an expression", token));
        }
    }
    Some(name_prefix(parser))
}

fn typed_literal(parser: &mut Parser) -> Parsed {
    let data_type = parser.parse_data_type()?;
    let token = parser.next_token();
    let Token::SingleQuotedString(text) = token.token else {
        return parser.expected("a string", token);
    };
    let value = ValueWithSpan { value: Value::SingleQuotedString(text), span: token.span };
    Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

/// `VARIADIC array` as the last argument of a call: kept as a prefixed expression.
fn variadic(parser: &mut Parser, word: &Word, token: &TokenWithSpan) -> Parsed {
    parser.advance_token();
    let value = Box::new(parser.parse_expr()?);
    Ok(Expr::Prefixed { prefix: word.clone().into_ident(token.span), value })
}

/// `ROW(a, b)`, kept as a prefixed tuple.
fn row(parser: &mut Parser, word: &Word, token: &TokenWithSpan) -> Parsed {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let fields = if parser.peek_token_ref().token == Token::RParen {
        Vec::new()
    } else {
        parser.parse_comma_separated(Parser::parse_expr)?
    };
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Prefixed { prefix: word.clone().into_ident(token.span), value: Box::new(Expr::Tuple(fields)) })
}

/// A possibly qualified name: column, call, or `type 'literal'`.
fn name_prefix(parser: &mut Parser) -> Parsed {
    let mut parts: Vec<Ident> = Vec::with_capacity(2);
    loop {
        let token = parser.next_token();
        let Token::Word(word) = token.token else { return parser.expected("an identifier", token) };
        parts.push(word.into_ident(token.span));
        let more = parser.peek_token_ref().token == Token::Period
            && matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
        if !more {
            break;
        }
        parser.advance_token();
    }
    match &parser.peek_token_ref().token {
        Token::LParen => parser.parse_function(ObjectName::from(parts)),
        Token::SingleQuotedString(text) => {
            let value = Value::SingleQuotedString(text.clone());
            let span = parser.next_token().span;
            Ok(Expr::TypedString(TypedString {
                data_type: sqlparser::ast::DataType::Custom(ObjectName::from(parts), Vec::new()),
                value: ValueWithSpan { value, span },
                uses_odbc_syntax: false,
            }))
        }
        _ if parts.len() == 1 => Ok(Expr::Identifier(parts.remove(0))),
        _ => Ok(Expr::CompoundIdentifier(parts)),
    }
}

/// What may follow an expression, where the crate's own reading differs.
fn infix(parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Parsed> {
    let token = parser.peek_token_ref();
    if precedence == COMPARISON && is_comparison(left) {
        return Some(parser.expected_ref("no second comparison", token));
    }
    let Token::Word(word) = &token.token else { return None };
    if precedence == BETWEEN_LIKE && is_pattern_or_range(left) {
        return Some(parser.expected_ref("no second range or pattern test", token));
    }
    match word.keyword {
        Keyword::NoKeyword => {
            parser.advance_token();
            Some(Ok(Expr::IsNull(Box::new(left.clone()))))
        }
        Keyword::NOTNULL => {
            parser.advance_token();
            Some(Ok(Expr::IsNotNull(Box::new(left.clone()))))
        }
        Keyword::BETWEEN | Keyword::NOT => between_symmetric(parser, left),
        _ => None,
    }
}

/// `[NOT] BETWEEN SYMMETRIC`, as both ranges joined.
fn between_symmetric(parser: &mut Parser, left: &Expr) -> Option<Parsed> {
    let word_at = |n: usize, want: &str| match &parser.peek_nth_token_ref(n).token {
        Token::Word(w) => w.quote_style.is_none() && w.value == want,
        _ => false,
    };
    let negated = word_at(0, "not");
    let first = usize::from(negated);
    if !word_at(first, "between") {
        return None;
    }
    let symmetric = word_at(first + 1, "symmetric");
    if !symmetric && !word_at(first + 1, "asymmetric") {
        return None;
    }
    for _ in 0..first + 2 {
        parser.advance_token();
    }
    Some(symmetric_bounds(parser, left, negated, symmetric))
}

fn symmetric_bounds(parser: &mut Parser, left: &Expr, negated: bool, symmetric: bool) -> Parsed {
    let low = parser.parse_subexpr(BETWEEN_LIKE)?;
    parser.expect_keyword_is(Keyword::AND)?;
    let high = parser.parse_subexpr(BETWEEN_LIKE)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(left.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if !symmetric {
        return Ok(between(&low, &high));
    }
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(&low, &high)),
        op: if negated { BinaryOperator::And } else { BinaryOperator::Or },
        right: Box::new(between(&high, &low)),
    })))
}

fn is_comparison(expr: &Expr) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(expr, Expr::BinaryOp { op: Eq | NotEq | Lt | LtEq | Gt | GtEq, .. })
}

fn is_pattern_or_range(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
    )
}
