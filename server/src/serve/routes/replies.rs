//! Answers that many paths share.

use super::super::problem::Problem;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

fn problem(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}

fn problems<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, RefOr<Response>> {
    let entry = |(status, text): (&str, &str)| (status.to_owned(), problem(text));
    all.into_iter().map(entry).collect()
}

macro_rules! replies {
    ($(#[$doc:meta])* $name:ident: $($status:literal $text:literal),+ $(,)?) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems([$(($status, $text)),+])
            }
        }
    };
}

replies! {
    /// What any guarded path may answer.
    Any:
    "400" "The request cannot be read",
    "401" "A token is needed",
    "403" "Not with this token, or not from this page",
    "406" "The path has no answer of the kind in Accept",
    "408" "The request took too long",
    "429" "Too much at once",
    "500" "A defect; the log says more",
}

replies! {
    /// What a path with a name or key in it may answer.
    Named:
    "404" "There is no such thing",
}

replies! {
    /// What a path that takes SQL may answer.
    Sql:
    "413" "The body is too large",
    "415" "The body is neither JSON nor plain SQL",
    "422" "The SQL is wrong: each error has its place and advice",
}

replies! {
    /// What a path that changes queries may answer.
    Changing:
    "409" "Not together with what is there; `queries` names those in the way",
    "507" "The file cannot be written",
}

replies! {
    /// What a path that looks at tags may answer.
    Tagged:
    "412" "The query is another one by now",
}

replies! {
    /// What a path that reads from a store may answer.
    Stored:
    "422" "The table cannot be read by key",
    "503" "The store or server is away",
}
