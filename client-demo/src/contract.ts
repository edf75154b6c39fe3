// What goes over Tallycast's wires. Made of the server's own types by `make types`: do not edit.

/** An exact decimal in text, such as `12.50`. Show it, or calculate with a decimal library: do not make a float of it. */
export type Amount = string;

/** A span of the calendar, in an account's time zone. */
export type Period = "day" | "month";

/** What became of one event of several. */
export type Outcome = Receipt | RefusedEvent;

/** Whether an event was new. */
export type ReceiptStatus = "recorded" | "duplicate";

/** How far a client is, as an opaque text: keep the one of each message that you have applied, and give it as `after` when you come back. */
export type Position = string;

/** Why the server closes a connection, as clients are told. */
export type ClosingCode = "slow" | "expired" | "revoked" | "disconnected" | "shutdown" | "limit";

/** What a feed and its history consist of: what a producer reported, or an alert. */
export type Entry = RecordedEntry | Alert;

/** What a client gets when more than one update waits for it. */
export type Mode = "entries" | "totals";

/** What a feed says: the same JSON on every transport. */
export type FeedMessage = Snapshot | Update | Live | Rollover;

/** Why a snapshot was sent. */
export type SnapshotReason = "initial" | "epoch_changed" | "profile_changed" | "ahead" | "too_far" | "bad_position";

/** The entry that says that a budget's threshold was reached. It counts for nothing in the totals. */
export interface Alert {
  /** Its place in the account, among all entries: 1, 2, 3 … without a gap. */
  offset: number;
  /** An id of its own. */
  id: string;
  /** The ledger itself. */
  source: "tallycast";
  /** Whose budget. */
  account: string;
  /** Tells it from other entries. */
  kind: "alert";
  /** Nothing: it counts in no total. */
  amount: Amount;
  /** The budget's. */
  unit: string;
  /** The budget's. */
  meter: string;
  /** The budget's id. */
  budget: string;
  /** Over what time the budget is. */
  window: Period;
  /** The first day of that day or month. */
  window_start: string;
  /** The part of the limit that was reached, in percent. */
  threshold: number;
  /** What was consumed in the window by then. */
  spent: Amount;
  /** The budget's limit. */
  limit: Amount;
  /** When it was reached, RFC 3339. */
  time: string;
  /** When the ledger wrote it, RFC 3339 in UTC. */
  recorded_at: string;
  /** The all-time total of the budget's meter and unit, as it is. */
  total: Amount;
}

/** The token ends soon: `authenticate` with a new one, and go on. */
export interface AuthExpiring {
  /** Tells it from other messages. */
  type: "auth_expiring";
  /** When the connection will be closed. */
  expires_at: string;
}

/** A request that was done. */
export interface AuthenticateAnswer {
  /** Tells it from a refusal. */
  ok: true;
  /** When the new token ends; `null` where it does not. */
  expires_at: string | null;
  /** The accounts that it does not cover, and that are no longer followed. */
  ended: string[];
}

/** Goes on with a new token of the same subject. */
export interface AuthenticateRequest {
  /** A JWT; a ticket does not do. */
  token: string;
}

/** What became of the events of a batch, in their order. */
export interface BatchAnswer {
  /** One for each event. */
  results: Outcome[];
}

/** The proof that an event is in the ledger. */
export interface Receipt {
  /** Whether this call recorded it, or an earlier one. */
  status: ReceiptStatus;
  /** The entry's place in its account. */
  offset: number;
  /** The position of a client that has applied it. */
  position: Position;
  /** The all-time total of its meter and unit after it. */
  total: Amount;
}

/** An event of a batch that was not recorded. */
export interface RefusedEvent {
  /** `conflict`: its source and id were recorded before with other content. */
  status: "conflict" | "rejected";
  /** Stable, for programs. */
  code: string;
  /** What to do about it, for people. */
  message: string;
}

/** How much of one meter and unit an account means to consume in a day or month, and at what parts of it an alert is due. */
export interface Budget {
  /** Its name inside the account: 1 to 128 characters. */
  id: string;
  /** What is counted; `spend` unless said. */
  meter: string;
  /** In what. */
  unit: string;
  /** Over what time, in the account's time zone. */
  window: Period;
  /** The whole of it: above zero. */
  limit: Amount;
  /** The parts of `limit`, in percent, at which alerts are due: 1 to 1,000, ascending. */
  thresholds: number[];
}

/** The last message of a connection, which is about to close. It is best effort. */
export interface Closing {
  /** Tells it from other messages. */
  type: "closing";
  /** Why. */
  code: ClosingCode;
  /** What to do about it, for people. */
  message: string;
  /** How long to wait before connecting again. */
  retry_ms: number;
  /** Where the client is; there when the connection follows one account and has had a message. */
  position?: Position;
}

/** Whose connections to close: one of both. */
export interface DisconnectRequest {
  /** Those that follow this account. */
  account?: string | null;
  /** Those of this person or service. */
  subject?: string | null;
}

/** What became of it. */
export interface Disconnected {
  /** How many connections were closed, and waiting polls were answered. */
  closed: number;
}

/** An event accepted into the ledger: its fields, its place, and the running total after it. */
export interface RecordedEntry {
  /** Its place in the account: 1, 2, 3 … without a gap. */
  offset: number;
  /** The producer's id. */
  id: string;
  /** Whose consumption. */
  account: string;
  /** What it does to the totals. */
  kind: "consumption" | "adjustment" | "reversal";
  /** How much, as it was sent; of a reversal the opposite of its original. */
  amount: Amount;
  /** In what. */
  unit: string;
  /** Of what. */
  meter: string;
  /** When it happened, RFC 3339. */
  time: string;
  /** When the ledger took it, RFC 3339 in UTC. */
  recorded_at: string;
  /** The all-time total of its meter and unit after it. */
  total: Amount;
  /** Whatever the producer added. */
  attributes?: {
    [k: string]: string;
  };
  /** On what. */
  category?: string;
  /** A line for people. */
  description?: string;
  /** What a reversal takes back. */
  reverses?: string | EventKey;
  /** The producer; absent where it gave none. */
  source?: string;
}

/** (`source`, `id`): unique per account, for ever. */
export interface EventKey {
  /** Who reported; often empty. */
  source: string;
  /** The producer's id. */
  id: string;
}

/** What a producer reports, as the body of `POST /v1/events`. Sent twice, it counts once. */
export interface EventInput {
  /** Yours: 1 to 128 characters. With `source` it is what a repetition is known by, for ever. */
  id: string;
  /** Whose consumption it is: 1 to 128 bytes. */
  account: string;
  /** How much: a decimal in text, or a number, which is read from its digits. Not in a reversal. */
  amount?: string | number | null;
  /** Up to 16 strings of your own. */
  attributes?: {
    [k: string]: string;
  } | null;
  /** On what: at most 64 characters. */
  category?: string | null;
  /** A line for people; an adjustment needs one. */
  description?: string | null;
  /** What it does to the totals; `consumption` unless given. */
  kind?: "consumption" | "adjustment" | "reversal" | null;
  /** What is counted; `spend` unless given. */
  meter?: string | null;
  /** In a reversal only: the original's `id`, or its `source` and `id`. */
  reverses?: (string | EventKey) | null;
  /** Who reports; empty unless given. */
  source?: string | null;
  /** When it happened: RFC 3339 with an offset; the arrival unless given. */
  time?: string | null;
  /** In what: an ISO 4217 code or a unit's name. Not in a reversal. */
  unit?: string | null;
}

/**
 * The `auth` of a connection. Every field may be a string: some clients can send nothing else.
 * Other fields are a host's or a client's own.
 */
export interface FeedAuth {
  /** Which account to follow at once, where the token has several. */
  account?: string | null;
  /** The position to go on from; without one, the first message is a snapshot. */
  after?: string | null;
  /** `totals` for screens that show sums only. */
  mode?: Mode | null;
  /** How many entries a snapshot shows: 0 to 100, 20 unless given. */
  recent?: number | null;
  /** `false` to follow nothing before the first `subscribe`. */
  subscribe?: boolean | null;
  /** A JWT, or a ticket; may come as a header or in the query instead. */
  token?: string | null;
}

/** The whole state of an account: replace everything you show. */
export interface Snapshot {
  /** Tells it from other messages. */
  type: "snapshot";
  /** Whose feed it is of. */
  account: string;
  /** Where a client is that has applied it. */
  position: Position;
  /** The account's last entry; 0 where it has none. */
  offset: number;
  /** Why it was sent. */
  reason: SnapshotReason;
  /** Of every meter and unit. */
  totals: Totals[];
  /** The last entries, oldest first. */
  recent: Entry[];
  /** What the customer means to stay within. */
  budgets: Budget[];
  /** The IANA time zone whose days and months are counted. */
  time_zone: string;
}

/** The totals of one meter and unit at an instant, as clients see them. */
export interface Totals {
  /** What is counted. */
  meter: string;
  /** In what; units are never summed up. */
  unit: string;
  /** Of all time. */
  all: Sum;
  /** Of this month, in the account's time zone. */
  month: WindowTotals;
  /** Of today, in the account's time zone. */
  day: WindowTotals;
}

/** A sum, and how many consumptions are in it. */
export interface Sum {
  /** Consumption, adjustments and reversals, summed up. */
  amount: Amount;
  /** How many consumptions are in it; those that were reversed are not. */
  count: number;
}

/** What was consumed in one day or month. */
export interface WindowTotals {
  /** The first day of the window. */
  start: string;
  /** The day after its last one. */
  end: string;
  /** Consumption, adjustments and reversals, summed up. */
  amount: Amount;
  /** How many consumptions are in it; those that were reversed are not. */
  count: number;
  /** The amount of each category. */
  categories: {
    [k: string]: Amount;
  };
}

/** Entries `from` to `to`: add them, and replace the totals that are there. */
export interface Update {
  /** Tells it from other messages. */
  type: "update";
  /** Whose feed it is of. */
  account: string;
  /** Where a client is that has applied it. */
  position: Position;
  /** The offset of its first entry: the one after what you have. */
  from: number;
  /** The offset of its last entry. */
  to: number;
  /** Oldest first; where `merged` is, only alerts, reversals and adjustments. */
  entries: Entry[];
  /** How many entries were left out, in the mode `totals`. */
  merged?: number;
  /** Of the meters and units that changed; absent where more of a replay follows. */
  totals?: Totals[];
}

/** Replay is over: from here on it is happening now. */
export interface Live {
  /** Tells it from other messages. */
  type: "live";
  /** Whose feed it is of. */
  account: string;
  /** Where a client is that has applied it. */
  position: Position;
  /** The account's last entry. */
  offset: number;
}

/** A day or month turned: replace all totals. */
export interface Rollover {
  /** Tells it from other messages. */
  type: "rollover";
  /** Whose feed it is of. */
  account: string;
  /** Where a client is that has applied it. */
  position: Position;
  /** The account's last entry. */
  offset: number;
  /** Of every meter and unit. */
  totals: Totals[];
}

/** One page of an account's past: newest first, or with `after` oldest first. */
export interface History {
  /** The ledger history that the offsets are of. */
  epoch: string;
  /** At most 200; fewer where they are very long. */
  entries: Entry[];
  /** The `before`, or the `after`, of the page that follows; `null` where there is none. */
  next: number | null;
}

/** A request that was done. */
export interface HistoryAnswer {
  /** Tells it from a refusal. */
  ok: true;
  /** The ledger history that the offsets are of. */
  epoch: string;
  /** At most 200; fewer where they are very long. */
  entries: Entry[];
  /** The `before`, or the `after`, of the page that follows; `null` where there is none. */
  next: number | null;
}

/** Asks for older entries, newest first. */
export interface HistoryRequest {
  /** Whose feed; may be left out where the token has one account, or the handshake named one. */
  account?: string | null;
  /** An exclusive offset: the `next` of the page before. Without one it begins at the latest entry. */
  before?: number | null;
  /** How many: 1 to 200, 50 unless given. */
  limit?: number | null;
}

/** What was consumed in past days or months, for charts. */
export interface PastTotals {
  /** Whose they are. */
  account: string;
  /** The entries that are in it: all up to this offset. */
  offset: number;
  /** The IANA time zone whose days and months these are. */
  time_zone: string;
  /** How long each period is. */
  by: Period;
  /** By date, then meter and unit; periods without entries are left out. */
  totals: PeriodTotals[];
  /** The `from` of the page that follows; `null` where this is the last. */
  next: string | null;
}

/** What was consumed of one meter and unit in one day or month. */
export interface PeriodTotals {
  /** What was counted. */
  meter: string;
  /** In what. */
  unit: string;
  /** The first day of the period. */
  start: string;
  /** The day after its last one. */
  end: string;
  /** Consumption, adjustments and reversals, summed up. */
  amount: Amount;
  /** How many consumptions are in it; those that were reversed are not. */
  count: number;
  /** The amount of each category. */
  categories: {
    [k: string]: Amount;
  };
}

/** A request that was refused, as RFC 9457 has it. */
export interface Problem {
  /** Always `about:blank`: the `code` says it. */
  type: string;
  /** The status in words. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** Stable, for programs. */
  code: string;
  /** What to do about it, for people. */
  detail: string;
}

/** An account's settings. */
export interface Profile {
  /** Whose they are. */
  account: string;
  /** Whose days and months totals are kept in. */
  time_zone: string;
  /** What the customer means to stay within. */
  budgets: Budget[];
  /** Counts the edits of this profile. */
  revision: number;
  /** What to call the customer. */
  name?: string;
}

/** What a profile is replaced with: what is absent goes back to its default. */
export interface ProfileInput {
  /** What the customer means to stay within: at most 32. */
  budgets?: Budget[];
  /** What to call the customer: at most 128 characters. */
  name?: string | null;
  /** An IANA name; `UTC` unless given. */
  time_zone?: string | null;
}

/** An ephemeral event for connected Socket.IO clients, at most once. */
export interface Push {
  /** Whom it is for. */
  to: PushTo;
  /** Its name: 1 to 128 characters, none of the feed's own events. */
  event: string;
  /** Count who answers within so long: 1 to 30,000. */
  ack_timeout_ms?: number | null;
  /** Any JSON of at most 64 KiB and 100 levels; `null` unless given. */
  data?: unknown;
  /** `/feed` unless given. */
  namespace?: string | null;
  /** Leave out sockets that are busy. */
  volatile?: boolean;
}

/** One of these; all but `account` need a token for all accounts. */
export interface PushTo {
  /** Every socket that follows this account. */
  account?: string | null;
  /** Every socket of the namespace. */
  all?: boolean;
  /** Every socket in this room of a host's own. */
  room?: string | null;
  /** Every socket of this person or service. */
  subject?: string | null;
}

/** What became of a push. */
export interface Pushed {
  /** The sockets that it went to. */
  sockets: number;
  /** Those that acknowledged in time, if that was asked for. */
  acknowledged?: number;
}

/** A request that was not done. */
export interface Refused {
  /** Tells it from an answer. */
  ok: false;
  /** Stable, for programs. */
  code: string;
  /** What to do about it, for people. */
  message: string;
}

/** A revocation that counts. */
export interface Revocation {
  /** Until when it is kept. */
  expires_at: string;
  /** Tokens that were issued before it are revoked. */
  issued_before?: string;
  /** The id of the token. */
  jti?: string;
  /** Whose tokens. */
  subject?: string;
}

/** Which tokens no longer count: either `jti`, or `subject` and `issued_before`. */
export interface RevocationRequest {
  /** RFC 3339: when the last of the tokens has expired; in 400 days unless given. */
  expires_at?: string | null;
  /** RFC 3339: those that were issued before it, and those that do not say when; at most 30 seconds ahead of now. */
  issued_before?: string | null;
  /** The id of one token. */
  jti?: string | null;
  /** Whose tokens. */
  subject?: string | null;
}

/** A request that was done. */
export interface SubscribeAnswer {
  /** Tells it from a refusal. */
  ok: true;
  /** The account that is followed now. */
  account: string;
}

/** Follows an account, in place of an earlier subscription to it. */
export interface SubscribeRequest {
  /** Whose feed; may be left out where the token has one account, or the handshake named one. */
  account?: string | null;
  /** The position to go on from; without one, the first message is a snapshot. */
  after?: string | null;
  /** `totals` for screens that show sums only. */
  mode?: Mode | null;
  /** How many entries a snapshot shows: 0 to 100, 20 unless given. */
  recent?: number | null;
}

/** What opens an account's connections from a browser, as `?ticket=` in their address. */
export interface Ticket {
  /** Short-lived: it ends up in logs and histories. */
  ticket: string;
  /** The one account that it watches. */
  account: string;
  /** Until when it opens connections; those that it opened go on. */
  expires_at: string;
}

/** Whose connections a ticket should open. */
export interface TicketRequest {
  /** May be left out where the token has one account. */
  account?: string | null;
}

/** A request that was done. */
export interface UnsubscribeAnswer {
  /** Tells it from a refusal. */
  ok: true;
  /** The account that is not followed any more. */
  account: string;
}

/** Ends the subscription to an account. */
export interface UnsubscribeRequest {
  /** Whose feed; may be left out where the token has one account, or the handshake named one. */
  account?: string | null;
}

/** What the server emits on `/feed`. */
export type ServerToClientEvents = {
  [M in FeedMessage | Closing | AuthExpiring as M["type"]]: (message: M) => void;
};

/** What a client may ask on `/feed`. */
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack: (answer: SubscribeAnswer | Refused) => void) => void;
  unsubscribe: (request: UnsubscribeRequest, ack: (answer: UnsubscribeAnswer | Refused) => void) => void;
  history: (request: HistoryRequest, ack: (answer: HistoryAnswer | Refused) => void) => void;
  authenticate: (request: AuthenticateRequest, ack: (answer: AuthenticateAnswer | Refused) => void) => void;
}
