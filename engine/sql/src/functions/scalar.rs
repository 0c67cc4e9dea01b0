//! What all scalar functions share: arguments by kind, and a body over arrays.

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The kind of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string; arrives as Utf8View.
    Text,
    /// A number; arrives as Float64.
    Double,
    /// A whole number; arrives as Int64.
    Integer,
    /// A time, a date or a text that reads as one; arrives as Timestamp(Microsecond, None).
    Time,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::Double => DataType::Float64,
            Self::Integer => DataType::Int64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    fn takes(self, given: &DataType) -> bool {
        match self {
            _ if given.is_null() => true,
            Self::Text => {
                matches!(
                    given,
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                )
            }
            Self::Double => given.is_numeric(),
            Self::Integer => given.is_integer(),
            Self::Time => matches!(
                given,
                DataType::Timestamp(..)
                    | DataType::Date32
                    | DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Utf8View
            ),
        }
    }

    fn sql_name(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Double => "DOUBLE",
            Self::Integer => "BIGINT",
            Self::Time => "TIMESTAMP",
        }
    }
}

/// The body: arrays of equal length, of the arguments' kinds, to an array of the result's type.
pub(super) type Body = Arc<dyn Fn(&[ArrayRef]) -> ArrayRef + Send + Sync>;

/// A scalar function.
pub(super) struct Function {
    name: &'static str,
    arguments: Vec<Kind>,
    /// How many of the arguments may be left out at the end.
    optional: usize,
    result: DataType,
    /// What tells two functions of one name apart: the database's path.
    variant: String,
    signature: Signature,
    body: Body,
}

impl Function {
    pub(super) fn new(
        name: &'static str,
        arguments: &[Kind],
        optional: usize,
        result: DataType,
        body: impl Fn(&[ArrayRef]) -> ArrayRef + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            arguments: arguments.to_vec(),
            optional,
            result,
            variant: String::new(),
            signature: Signature::user_defined(Volatility::Immutable),
            body: Arc::new(body),
        }
    }

    pub(super) fn variant(mut self, variant: String) -> Self {
        self.variant = variant;
        self
    }

    pub(super) fn udf(self) -> ScalarUDF {
        ScalarUDF::from(self)
    }

    fn usage(&self) -> String {
        let fewest = self.arguments.len() - self.optional;
        let mut text = format!("{}(", self.name.to_uppercase());
        for (at, kind) in self.arguments.iter().enumerate() {
            let (before, after) = if at < fewest { ("", "") } else { ("[", "]") };
            let comma = if at == 0 { "" } else { ", " };
            text.push_str(&format!("{before}{comma}{}{after}", kind.sql_name()));
        }
        text.push(')');
        text
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.variant == other.variant
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.variant.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let counts = self.arguments.len() - self.optional..=self.arguments.len();
        if counts.contains(&given.len())
            && given
                .iter()
                .zip(&self.arguments)
                .all(|(given, kind)| kind.takes(given))
        {
            return Ok(self.arguments[..given.len()]
                .iter()
                .map(|kind| kind.data_type())
                .collect());
        }
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        Err(DataFusionError::Plan(format!(
            "{} does not take ({}): write {}",
            self.name.to_uppercase(),
            given.join(", "),
            self.usage()
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args
            .args
            .into_iter()
            .map(|arg| arg.into_array(rows))
            .collect::<Result<_>>()?;
        let array = (self.body)(&arrays);
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &array, 0,
            )?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The value of a string argument.
pub(super) fn text_at(array: &ArrayRef, row: usize) -> Option<&str> {
    let array: &StringViewArray = array.as_string_view_opt()?;
    array.is_valid(row).then(|| array.value(row))
}

/// The value of a number argument.
pub(super) fn double_at(array: &ArrayRef, row: usize) -> Option<f64> {
    let array: &Float64Array = array.as_primitive_opt::<Float64Type>()?;
    array.is_valid(row).then(|| array.value(row))
}

/// The value of a whole number argument.
pub(super) fn integer_at(array: &ArrayRef, row: usize) -> Option<i64> {
    let array: &Int64Array = array.as_primitive_opt::<Int64Type>()?;
    array.is_valid(row).then(|| array.value(row))
}

/// The value of a time argument, microseconds since the epoch.
pub(super) fn time_at(array: &ArrayRef, row: usize) -> Option<i64> {
    let array: &TimestampMicrosecondArray = array.as_primitive_opt::<TimestampMicrosecondType>()?;
    array.is_valid(row).then(|| array.value(row))
}

/// How many rows the arguments have.
pub(super) fn rows_of(arrays: &[ArrayRef]) -> usize {
    arrays.first().map_or(0, |array| array.len())
}

/// Calls a function on constants, for tests.
#[cfg(test)]
pub(super) fn call(function: &ScalarUDF, args: &[ScalarValue]) -> Result<ScalarValue> {
    use arrow::datatypes::Field;
    let types: Vec<DataType> = args.iter().map(ScalarValue::data_type).collect();
    let types = function.coerce_types(&types)?;
    let args = args
        .iter()
        .zip(&types)
        .map(|(arg, t)| Ok(ColumnarValue::Scalar(arg.cast_to(t)?)));
    let args = ScalarFunctionArgs {
        args: args.collect::<Result<_>>()?,
        arg_fields: types
            .iter()
            .map(|t| Arc::new(Field::new("a", t.clone(), true)))
            .collect(),
        number_rows: 1,
        return_field: Arc::new(Field::new("r", function.return_type(&types)?, true)),
        config_options: Arc::default(),
    };
    match function.invoke_with_args(args)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
    }
}
