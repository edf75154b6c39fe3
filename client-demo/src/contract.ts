// What goes over Tallycast's wires. Made by `make types` of the server's own types: do not edit.

/**
 * An exact decimal in text, such as `12.50`. Show it, or calculate with a decimal library: do not make a float of it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Amount".
 */
export type Amount = string;
/**
 * A span of the calendar, in an account's time zone.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Period".
 */
export type Period = "day" | "month";
/**
 * What became of one event of several.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Outcome".
 */
export type Outcome = Receipt | RefusedEvent;
/**
 * How far a client is, as an opaque text: keep the one of each message that you have applied, and give it as `after` when you come back.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Position".
 */
export type Position = string;
/**
 * Whether an event was new.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "ReceiptStatus".
 */
export type ReceiptStatus = "recorded" | "duplicate";
/**
 * Why the server closes a connection, as clients are told.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "ClosingCode".
 */
export type ClosingCode = "slow" | "expired" | "revoked" | "shutdown" | "limit";
/**
 * What a feed and its history consist of: what a producer reported, or an alert.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Entry".
 */
export type Entry = RecordedEntry | Alert;
/**
 * What a client gets when more than one update waits for it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Mode".
 */
export type Mode = "entries" | "totals";
/**
 * What a feed says: the same JSON on every transport.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "FeedMessage".
 */
export type FeedMessage = Snapshot | Update | Live | Rollover;
/**
 * Why a snapshot was sent.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "SnapshotReason".
 */
export type SnapshotReason = "initial" | "epoch_changed" | "profile_changed" | "ahead" | "too_far" | "bad_position";

/**
 * What goes over Tallycast's wires. Made by `make types`: do not edit.
 */
export interface Contract {
  [k: string]: unknown;
}
/**
 * The entry that says that a budget's threshold was reached. It counts for nothing in the totals.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Alert".
 */
export interface Alert {
  /**
   * Whose budget.
   */
  account: string;
  /**
   * Nothing: it counts in no total.
   */
  amount: Amount;
  /**
   * The budget's id.
   */
  budget: string;
  /**
   * An id of its own.
   */
  id: string;
  /**
   * Tells it from other entries.
   */
  kind: "alert";
  /**
   * The budget's limit.
   */
  limit: Amount;
  /**
   * The budget's.
   */
  meter: string;
  /**
   * Its place in the account, among all entries: 1, 2, 3 … without a gap.
   */
  offset: number;
  /**
   * When the ledger wrote it, RFC 3339 in UTC.
   */
  recorded_at: string;
  /**
   * The ledger itself.
   */
  source: "tallycast";
  /**
   * What was consumed in the window by then.
   */
  spent: Amount;
  /**
   * The part of the limit that was reached, in percent.
   */
  threshold: number;
  /**
   * When it was reached, RFC 3339.
   */
  time: string;
  /**
   * The all-time total of the budget's meter and unit, as it is.
   */
  total: Amount;
  /**
   * The budget's.
   */
  unit: string;
  /**
   * Over what time the budget is.
   */
  window: Period;
  /**
   * The first day of that day or month.
   */
  window_start: string;
}
/**
 * The token ends soon: `authenticate` with a new one, and go on.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "AuthExpiring".
 */
export interface AuthExpiring {
  /**
   * When the connection will be closed.
   */
  expires_at: string;
  /**
   * Tells it from other messages.
   */
  type: "auth_expiring";
}
/**
 * It was done.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "AuthenticateAnswer".
 */
export interface AuthenticateAnswer {
  /**
   * The accounts that it does not cover, and that are no longer followed.
   *
   * Items: Whose consumption it is: 1 to 128 bytes of UTF-8 without control characters and `/`, compared
   * byte by byte. Cheap to clone.
   *
   * ```
   * # use tallycast::Account;
   * assert!(Account::parse("alice").is_ok());
   * assert_eq!(Account::parse("a/b").unwrap_err().code(), "invalid_account");
   * ```
   */
  ended: string[];
  /**
   * When the new token ends; `null` where it does not.
   */
  expires_at: string | null;
  /**
   * Tells it from a refusal.
   */
  ok: true;
}
/**
 * Goes on with a new token of the same subject.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "AuthenticateRequest".
 */
export interface AuthenticateRequest {
  /**
   * A JWT; a ticket does not do.
   */
  token: string;
}
/**
 * What became of the events of a batch, in their order.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "BatchAnswer".
 */
export interface BatchAnswer {
  /**
   * One for each event.
   */
  results: Outcome[];
}
/**
 * The proof that an event is in the ledger.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Receipt".
 */
export interface Receipt {
  /**
   * The entry's place in its account.
   */
  offset: number;
  /**
   * The position of a client that has applied it.
   */
  position: Position;
  /**
   * Whether this call recorded it, or an earlier one.
   */
  status: ReceiptStatus;
  /**
   * The all-time total of its meter and unit after it.
   */
  total: Amount;
}
/**
 * An event of a batch that was not recorded.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "RefusedEvent".
 */
export interface RefusedEvent {
  /**
   * Stable, for programs.
   */
  code: string;
  /**
   * What to do about it, for people.
   */
  message: string;
  /**
   * `conflict`: its source and id were recorded before with other content.
   */
  status: "conflict" | "rejected";
}
/**
 * How much of one meter and unit an account means to consume in a day or month, and at what parts of it an alert is due.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Budget".
 */
export interface Budget {
  /**
   * Its name inside the account: 1 to 128 characters.
   */
  id: string;
  /**
   * The whole of it: above zero.
   */
  limit: Amount;
  /**
   * What is counted; `spend` unless said.
   */
  meter: string;
  /**
   * The parts of `limit`, in percent, at which alerts are due: 1 to 1,000, ascending.
   */
  thresholds: number[];
  /**
   * In what.
   */
  unit: string;
  /**
   * Over what time, in the account's time zone.
   */
  window: Period;
}
/**
 * The last message of a connection, which is about to close. It is best effort.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Closing".
 */
export interface Closing {
  /**
   * Why.
   */
  code: ClosingCode;
  /**
   * What to do about it, for people.
   */
  message: string;
  /**
   * Where the client is; there when the connection follows one account and has had a message.
   */
  position?: Position | null;
  /**
   * How long to wait before connecting again.
   */
  retry_ms: number;
  /**
   * Tells it from other messages.
   */
  type: "closing";
}
/**
 * An event accepted into the ledger: its fields, its place, and the running total after it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "RecordedEntry".
 */
export interface RecordedEntry {
  /**
   * Whose consumption.
   */
  account: string;
  /**
   * How much, as it was sent; of a reversal the opposite of its original.
   */
  amount: Amount;
  /**
   * Whatever the producer added.
   */
  attributes?: {
    [k: string]: string;
  };
  /**
   * On what.
   */
  category?: string | null;
  /**
   * A line for people.
   */
  description?: string | null;
  /**
   * The producer's id.
   */
  id: string;
  /**
   * What it does to the totals.
   */
  kind: "consumption" | "adjustment" | "reversal";
  /**
   * Of what.
   */
  meter: string;
  /**
   * Its place in the account: 1, 2, 3 … without a gap.
   */
  offset: number;
  /**
   * When the ledger took it, RFC 3339 in UTC.
   */
  recorded_at: string;
  /**
   * What a reversal takes back.
   */
  reverses?: (string | EventKey) | null;
  /**
   * The producer; absent where it gave none.
   */
  source?: string;
  /**
   * When it happened, RFC 3339.
   */
  time: string;
  /**
   * The all-time total of its meter and unit after it.
   */
  total: Amount;
  /**
   * In what.
   */
  unit: string;
}
/**
 * (`source`, `id`): unique per account, for ever.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "EventKey".
 */
export interface EventKey {
  /**
   * The producer's id.
   */
  id: string;
  /**
   * Who reported; often empty.
   */
  source: string;
}
/**
 * What a producer reports, as the body of `POST /v1/events`. Sent twice, it counts once.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "EventInput".
 */
export interface EventInput {
  /**
   * Whose consumption it is: 1 to 128 bytes.
   */
  account: string;
  /**
   * How much: a decimal in text, or a number, which is read from its digits. Not in a reversal.
   */
  amount?: string | number | null;
  /**
   * Up to 16 strings of your own.
   */
  attributes?: {
    [k: string]: string;
  } | null;
  /**
   * On what: at most 64 characters.
   */
  category?: string | null;
  /**
   * A line for people; an adjustment needs one.
   */
  description?: string | null;
  /**
   * Yours: 1 to 128 characters. With `source` it is what a repetition is known by, for ever.
   */
  id: string;
  /**
   * What it does to the totals; `consumption` unless given.
   */
  kind?: "consumption" | "adjustment" | "reversal" | null;
  /**
   * What is counted; `spend` unless given.
   */
  meter?: string | null;
  /**
   * In a reversal only: the original's `id`, or its `source` and `id`.
   */
  reverses?: (string | EventKey) | null;
  /**
   * Who reports; empty unless given.
   */
  source?: string | null;
  /**
   * When it happened: RFC 3339 with an offset; the arrival unless given.
   */
  time?: string | null;
  /**
   * In what: an ISO 4217 code or a unit's name. Not in a reversal.
   */
  unit?: string | null;
}
/**
 * The `auth` of a connection. Every field may be a string: some clients can send nothing else.
 * Other fields are a host's or a client's own.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "FeedAuth".
 */
export interface FeedAuth {
  /**
   * Which account to follow at once, where the token has several.
   */
  account?: string | null;
  /**
   * The position to go on from; without one, the first message is a snapshot.
   */
  after?: string | null;
  /**
   * `totals` for screens that show sums only.
   */
  mode?: Mode | null;
  /**
   * How many entries a snapshot shows: 0 to 100, 20 unless given.
   */
  recent?: number | null;
  /**
   * `false` to follow nothing before the first `subscribe`.
   */
  subscribe?: boolean | null;
  /**
   * A JWT, or a ticket; may come as a header or in the query instead.
   */
  token?: string | null;
}
/**
 * The whole state of an account: replace everything you show.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Snapshot".
 */
export interface Snapshot {
  /**
   * Whose feed it is of.
   */
  account: string;
  /**
   * What the customer means to stay within.
   */
  budgets: Budget[];
  /**
   * The account's last entry; 0 where it has none.
   */
  offset: number;
  /**
   * Where a client is that has applied it.
   */
  position: Position;
  /**
   * Why it was sent.
   */
  reason: SnapshotReason;
  /**
   * The last entries, oldest first.
   */
  recent: Entry[];
  /**
   * The IANA time zone whose days and months are counted.
   */
  time_zone: string;
  /**
   * Of every meter and unit.
   */
  totals: Totals[];
  /**
   * Tells it from other messages.
   */
  type: "snapshot";
}
/**
 * The totals of one meter and unit at an instant, as clients see them.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Totals".
 */
export interface Totals {
  /**
   * Of all time.
   */
  all: Sum;
  /**
   * Of today, in the account's time zone.
   */
  day: WindowTotals;
  /**
   * What is counted.
   */
  meter: string;
  /**
   * Of this month, in the account's time zone.
   */
  month: WindowTotals;
  /**
   * In what; units are never summed up.
   */
  unit: string;
}
/**
 * A sum, and how many consumptions are in it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Sum".
 */
export interface Sum {
  /**
   * Consumption, adjustments and reversals, summed up.
   */
  amount: Amount;
  /**
   * How many consumptions are in it; those that were reversed are not.
   */
  count: number;
}
/**
 * What was consumed in one day or month.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "WindowTotals".
 */
export interface WindowTotals {
  /**
   * Consumption, adjustments and reversals, summed up.
   */
  amount: Amount;
  /**
   * The amount of each category.
   */
  categories: {
    [k: string]: Amount;
  };
  /**
   * How many consumptions are in it; those that were reversed are not.
   */
  count: number;
  /**
   * The day after its last one.
   */
  end: string;
  /**
   * The first day of the window.
   */
  start: string;
}
/**
 * Entries `from` to `to`: add them, and replace the totals that are there.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Update".
 */
export interface Update {
  /**
   * Whose feed it is of.
   */
  account: string;
  /**
   * Oldest first; where `merged` is, only alerts, reversals and adjustments.
   */
  entries: Entry[];
  /**
   * The offset of its first entry: the one after what you have.
   */
  from: number;
  /**
   * How many entries were left out, in the mode `totals`.
   */
  merged?: number | null;
  /**
   * Where a client is that has applied it.
   */
  position: Position;
  /**
   * The offset of its last entry.
   */
  to: number;
  /**
   * Of the meters and units that changed; absent where more of a replay follows.
   */
  totals?: Totals[] | null;
  /**
   * Tells it from other messages.
   */
  type: "update";
}
/**
 * Replay is over: from here on it is happening now.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Live".
 */
export interface Live {
  /**
   * Whose feed it is of.
   */
  account: string;
  /**
   * The account's last entry.
   */
  offset: number;
  /**
   * Where a client is that has applied it.
   */
  position: Position;
  /**
   * Tells it from other messages.
   */
  type: "live";
}
/**
 * A day or month turned: replace all totals.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Rollover".
 */
export interface Rollover {
  /**
   * Whose feed it is of.
   */
  account: string;
  /**
   * The account's last entry.
   */
  offset: number;
  /**
   * Where a client is that has applied it.
   */
  position: Position;
  /**
   * Of every meter and unit.
   */
  totals: Totals[];
  /**
   * Tells it from other messages.
   */
  type: "rollover";
}
/**
 * One page of an account's past: newest first, or with `after` oldest first.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "History".
 */
export interface History {
  /**
   * At most 200; fewer where they are very long.
   */
  entries: Entry[];
  /**
   * The ledger history that the offsets are of.
   */
  epoch: string;
  /**
   * The `before`, or the `after`, of the page that follows; `null` where there is none.
   */
  next: number | null;
}
/**
 * It was done.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "HistoryAnswer".
 */
export interface HistoryAnswer {
  /**
   * At most 200; fewer where they are very long.
   */
  entries: Entry[];
  /**
   * The ledger history that the offsets are of.
   */
  epoch: string;
  /**
   * The `before`, or the `after`, of the page that follows; `null` where there is none.
   */
  next: number | null;
  /**
   * Tells it from a refusal.
   */
  ok: true;
}
/**
 * Asks for older entries, newest first.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "HistoryRequest".
 */
export interface HistoryRequest {
  /**
   * Whose feed; may be left out where the token has one account, or the handshake named one.
   */
  account?: string | null;
  /**
   * An exclusive offset: the `next` of the page before. Without one it begins at the latest entry.
   */
  before?: number | null;
  /**
   * How many: 1 to 200, 50 unless given.
   */
  limit?: number | null;
}
/**
 * What was consumed in past days or months, for charts.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "PastTotals".
 */
export interface PastTotals {
  /**
   * Whose they are.
   */
  account: string;
  /**
   * How long each period is.
   */
  by: Period;
  /**
   * The `from` of the page that follows; `null` where this is the last.
   */
  next: string | null;
  /**
   * The entries that are in it: all up to this offset.
   */
  offset: number;
  /**
   * The IANA time zone whose days and months these are.
   */
  time_zone: string;
  /**
   * By date, then meter and unit; periods without entries are left out.
   */
  totals: PeriodTotals[];
}
/**
 * What was consumed of one meter and unit in one day or month.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "PeriodTotals".
 */
export interface PeriodTotals {
  /**
   * Consumption, adjustments and reversals, summed up.
   */
  amount: Amount;
  /**
   * The amount of each category.
   */
  categories: {
    [k: string]: Amount;
  };
  /**
   * How many consumptions are in it; those that were reversed are not.
   */
  count: number;
  /**
   * The day after its last one.
   */
  end: string;
  /**
   * What was counted.
   */
  meter: string;
  /**
   * The first day of the period.
   */
  start: string;
  /**
   * In what.
   */
  unit: string;
}
/**
 * A request that was refused, as RFC 9457 has it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Problem".
 */
export interface Problem {
  /**
   * Stable, for programs.
   */
  code: string;
  /**
   * What to do about it, for people.
   */
  detail: string;
  /**
   * The HTTP status.
   */
  status: number;
  /**
   * The status in words.
   */
  title: string;
  /**
   * Always `about:blank`: the `code` says it.
   */
  type: string;
}
/**
 * An account's settings.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Profile".
 */
export interface Profile {
  /**
   * Whose they are.
   */
  account: string;
  /**
   * What the customer means to stay within.
   */
  budgets: Budget[];
  /**
   * What to call the customer.
   */
  name?: string | null;
  /**
   * Counts the edits of this profile.
   */
  revision: number;
  /**
   * Whose days and months totals are kept in.
   */
  time_zone: string;
}
/**
 * What a profile is replaced with: what is absent goes back to its default.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "ProfileInput".
 */
export interface ProfileInput {
  /**
   * What the customer means to stay within: at most 32.
   */
  budgets?: Budget[];
  /**
   * What to call the customer: at most 128 characters.
   */
  name?: string | null;
  /**
   * An IANA name; `UTC` unless given.
   */
  time_zone?: string | null;
}
/**
 * An ephemeral event for connected Socket.IO clients, at most once.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Push".
 */
export interface Push {
  /**
   * Count who answers within so long: 1 to 30,000.
   */
  ack_timeout_ms?: number | null;
  /**
   * Any JSON of at most 64 KiB; `null` unless given.
   */
  data?: {
    [k: string]: unknown;
  };
  /**
   * Its name: 1 to 128 characters, none of the feed's own events.
   */
  event: string;
  /**
   * `/feed` unless given.
   */
  namespace?: string | null;
  /**
   * Whom it is for.
   */
  to: PushTo;
  /**
   * Leave out sockets that are busy.
   */
  volatile?: boolean;
}
/**
 * One of these; all but `account` need a token for all accounts.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "PushTo".
 */
export interface PushTo {
  /**
   * Every socket that follows this account.
   */
  account?: string | null;
  /**
   * Every socket of the namespace.
   */
  all?: boolean;
  /**
   * Every socket in this room of a host's own.
   */
  room?: string | null;
  /**
   * Every socket of this person or service.
   */
  subject?: string | null;
}
/**
 * What became of a push.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Pushed".
 */
export interface Pushed {
  /**
   * Those that acknowledged in time, if that was asked for.
   */
  acknowledged?: number | null;
  /**
   * The sockets that it went to.
   */
  sockets: number;
}
/**
 * A request that was not done.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Refused".
 */
export interface Refused {
  /**
   * Stable, for programs.
   */
  code: string;
  /**
   * What to do about it, for people.
   */
  message: string;
  /**
   * Tells it from an answer.
   */
  ok: false;
}
/**
 * It was done.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "SubscribeAnswer".
 */
export interface SubscribeAnswer {
  /**
   * The account that is followed now.
   */
  account: string;
  /**
   * Tells it from a refusal.
   */
  ok: true;
}
/**
 * Follows an account, in place of an earlier subscription to it.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "SubscribeRequest".
 */
export interface SubscribeRequest {
  /**
   * Whose feed; may be left out where the token has one account, or the handshake named one.
   */
  account?: string | null;
  /**
   * The position to go on from; without one, the first message is a snapshot.
   */
  after?: string | null;
  /**
   * `totals` for screens that show sums only.
   */
  mode?: Mode | null;
  /**
   * How many entries a snapshot shows: 0 to 100, 20 unless given.
   */
  recent?: number | null;
}
/**
 * What opens an account's connections from a browser, as `?ticket=` in their address.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "Ticket".
 */
export interface Ticket {
  /**
   * The one account that it watches.
   */
  account: string;
  /**
   * Until when it opens connections; those that it opened go on.
   */
  expires_at: string;
  /**
   * Short-lived: it ends up in logs and histories.
   */
  ticket: string;
}
/**
 * Whose connections a ticket should open.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "TicketRequest".
 */
export interface TicketRequest {
  /**
   * May be left out where the token has one account.
   */
  account?: string | null;
}
/**
 * It was done.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "UnsubscribeAnswer".
 */
export interface UnsubscribeAnswer {
  /**
   * The account that is not followed any more.
   */
  account: string;
  /**
   * Tells it from a refusal.
   */
  ok: true;
}
/**
 * Ends the subscription to an account.
 *
 * This interface was referenced by `Contract`'s JSON-Schema
 * via the `definition` "UnsubscribeRequest".
 */
export interface UnsubscribeRequest {
  /**
   * Whose feed; may be left out where the token has one account, or the handshake named one.
   */
  account?: string | null;
}

/** What the server emits on /feed, by the message's own `type`. */
export type ServerToClientEvents = {
  [M in FeedMessage | Closing | AuthExpiring as M["type"]]: (message: M) => void;
};

/** What a client may ask on /feed. */
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack: (answer: SubscribeAnswer | Refused) => void) => void;
  unsubscribe: (request: UnsubscribeRequest, ack: (answer: UnsubscribeAnswer | Refused) => void) => void;
  history: (request: HistoryRequest, ack: (answer: HistoryAnswer | Refused) => void) => void;
  authenticate: (request: AuthenticateRequest, ack: (answer: AuthenticateAnswer | Refused) => void) => void;
}
