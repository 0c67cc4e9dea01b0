//! An event before it is written: what the model decides and the renderer needs.

use std::cmp::Ordering;

/// The types of event that the shop sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EventType {
    PageView,
    PagePing,
    ListView,
    ListClick,
    ProductView,
    AddToCart,
    RemoveFromCart,
    PromoView,
    PromoClick,
    CheckoutStep,
    Transaction,
    TransactionError,
    Refund,
    /// An event that the transformer knows no name for, such as a site search.
    Unstruct,
    Struct,
}

/// A page of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// No page: the first referrer.
    None,
    Home,
    /// The home page, reached through a campaign.
    Landing(u8),
    Category(u8),
    Search(u8),
    Product(u32),
    Cart,
    SignIn,
    Payment,
    Thanks,
}

/// What a line is. The fractions of [`crate::SimulatorConfig`] choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An event as the shop sends it.
    Regular,
    /// An event once more, after it was sent before: same id, later sent and collected times.
    Repeat,
    /// An event that arrives long after its time.
    Late,
    /// An event whose time is far ahead.
    Future,
    /// A line that a careless reader stumbles over.
    Broken(Breakage),
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Breakage {
    /// No JSON at all.
    Malformed,
    /// The field `timestamp` is absent.
    MissingTimestamp,
    /// An `add_to_cart` without `payload.cart`.
    AddWithoutCart,
    /// A `checkout_step` without `payload.checkout_step`.
    CheckoutWithoutStep,
    /// A `list_view` without `payload.list_name`.
    ListWithoutName,
    /// A `product_view` without `payload.product`.
    ViewWithoutProduct,
    /// `enrich.user.user_id` is null.
    NullUser,
    /// A line cut off in the middle.
    Truncated,
    /// Fields of another type than they should have.
    WrongTypes,
    /// A string of [`HUGE_STRING_BYTES`].
    HugeString,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
}

/// Length of the string in a [`Breakage::HugeString`] line.
pub const HUGE_STRING_BYTES: usize = 1024 * 1024;

impl Breakage {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::MissingTimestamp,
        Self::AddWithoutCart,
        Self::CheckoutWithoutStep,
        Self::ListWithoutName,
        Self::ViewWithoutProduct,
        Self::NullUser,
        Self::Truncated,
        Self::WrongTypes,
        Self::HugeString,
        Self::InvalidUtf8,
    ];

    /// True when the line is JSON all the same and has a time: it counts as a row.
    #[must_use]
    pub fn is_row(self) -> bool {
        matches!(
            self,
            Self::AddWithoutCart
                | Self::CheckoutWithoutStep
                | Self::ListWithoutName
                | Self::ViewWithoutProduct
                | Self::NullUser
        )
    }
}

/// Harmless inconsistencies of a line, as bits.
pub(crate) mod untidy {
    /// `{}` for the product.
    pub(crate) const EMPTY_PRODUCT: u8 = 1;
    /// `{}` for the cart.
    pub(crate) const EMPTY_CART: u8 = 2;
    /// Numbers as strings.
    pub(crate) const STRINGS: u8 = 4;
    /// `list_name` is null.
    pub(crate) const NULL_LIST: u8 = 8;
    /// `user_id` is empty.
    pub(crate) const EMPTY_USER: u8 = 16;
}

/// Everything that decides the text of a line. Small, so that it can wait in a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// Event time, ms.
    pub(crate) time: i64,
    /// When the line arrives, ms.
    pub(crate) arrival: i64,
    /// Order of generation: decides among equal arrivals.
    pub(crate) seq: u64,
    /// The session's first event, ms.
    pub(crate) session_start: i64,
    pub(crate) kind: Kind,
    pub(crate) event_type: EventType,
    pub(crate) page: Page,
    pub(crate) referrer: Page,
    pub(crate) shopper: u32,
    /// The shopper's session, counted from 1.
    pub(crate) session: u32,
    /// The event within the shopper's session, counted from 1.
    pub(crate) index: u32,
    /// The product of the event, or the first of a list.
    pub(crate) product: u32,
    /// Of the cart, after the action, or of the transaction.
    pub(crate) cart_cents: u32,
    /// Of the product, for adds and removals: signed change of the cart.
    pub(crate) change_cents: i32,
    pub(crate) quantity: u8,
    pub(crate) list: u8,
    /// Of the product in its list, from 1, or 0. Of a transaction: how many events after the
    /// first that told of the order.
    pub(crate) position: u8,
    pub(crate) step: u8,
    pub(crate) promotion: u8,
    /// The browser and its settings.
    pub(crate) profile: u8,
    pub(crate) zone: u8,
    /// Which of the shopper's devices.
    pub(crate) device: u8,
    pub(crate) logged_in: bool,
    /// Sent by the shop's server, not by the browser.
    pub(crate) from_server: bool,
    pub(crate) untidy: u8,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    /// The one that arrives first is the greatest, so that a max-heap hands it out first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrival, other.seq).cmp(&(self.arrival, self.seq))
    }
}
