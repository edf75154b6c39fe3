// DRAFT, replaced by the generated one.
export interface Sum { amount: string; count: number }
export interface WindowTotals { start: string; end: string; amount: string; count: number; categories: { [k: string]: string } }
export interface Totals { meter: string; unit: string; all: Sum; month: WindowTotals; day: WindowTotals }
export interface RecordedEntry {
  offset: number; id: string; source?: string; account: string; kind: "consumption" | "adjustment" | "reversal";
  amount: string; unit: string; meter: string; category?: string; description?: string; time: string; recorded_at: string; total: string;
}
export interface Alert {
  offset: number; id: string; source: string; account: string; kind: "alert";
  amount: string; unit: string; meter: string; time: string; recorded_at: string; total: string;
  budget: string; window: "day" | "month"; window_start: string; threshold: number; spent: string; limit: string;
}
export type Entry = RecordedEntry | Alert;
export interface Budget { id: string; meter: string; unit: string; window: "day" | "month"; limit: string; thresholds: number[] }
export interface Profile { account: string; name?: string; time_zone: string; budgets: Budget[]; revision: number }
export interface Snapshot { type: "snapshot"; account: string; position: string; offset: number; reason: string; totals: Totals[]; recent: Entry[]; budgets: Budget[]; time_zone: string }
export interface Update { type: "update"; account: string; position: string; from: number; to: number; entries: Entry[]; totals?: Totals[]; merged?: number }
export interface Live { type: "live"; account: string; position: string; offset: number }
export interface Rollover { type: "rollover"; account: string; position: string; offset: number; totals: Totals[] }
export interface Closing { type: "closing"; code: string; message: string; retry_ms: number; position?: string }
export interface AuthExpiring { type: "auth_expiring"; expires_at: string }
export type FeedMessage = Snapshot | Update | Live | Rollover;
export interface FeedAuth { token?: string; account?: string; after?: string; mode?: "entries" | "totals"; recent?: number; subscribe?: boolean }
export interface Refused { ok: false; code: string; message: string }
export interface SubscribeRequest { account?: string; after?: string; mode?: "entries" | "totals"; recent?: number }
export interface AuthenticateRequest { token: string }
export interface HistoryRequest { account?: string; before?: number; limit?: number }
export interface History { epoch: string; entries: Entry[]; next: number | null }
export interface PastTotals { account: string; offset: number; time_zone: string; by: "day" | "month"; totals: ({ meter: string; unit: string } & WindowTotals)[]; next: string | null }
export interface ServerToClientEvents {
  snapshot: (m: Snapshot) => void; update: (m: Update) => void; live: (m: Live) => void; rollover: (m: Rollover) => void;
  closing: (m: Closing) => void; auth_expiring: (m: AuthExpiring) => void;
}
export interface ClientToServerEvents {
  subscribe: (request: SubscribeRequest, ack: (answer: { ok: true; account: string } | Refused) => void) => void;
  authenticate: (request: AuthenticateRequest, ack: (answer: { ok: true; expires_at: string; ended: string[] } | Refused) => void) => void;
  history: (request: HistoryRequest, ack: (answer: ({ ok: true } & History) | Refused) => void) => void;
}
