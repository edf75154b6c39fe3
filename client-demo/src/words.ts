/** Every text of the page. A text with placeholders is a function. */
const en = {
  skip: "Skip to the figures",
  views: "Views",
  my_consumption: "My consumption",
  every_way: "All transports",
  account: "Account",
  language: "Language",
  meters: "Meter and unit",
  today: "Today",
  this_month: "This month",
  budgets: "Budgets",
  by_category: "By category",
  last_entries: "Latest entries",
  no_entries: "Nothing yet. New entries appear here immediately.",
  entries_counted: (count: string) => `${count} ${count === "1" ? "entry" : "entries"}`,
  other: "other",
  connecting: "Connecting",
  catching_up: "Catching up",
  live: "Live",
  stale: "Reconnecting",
  offline: "Offline",
  refused: "Refused",
  updated: (ago: string) => `Updated ${ago}`,
  updated_now: "Updated just now",
  as_of: (time: string) => `As of ${time}`,
  open_link: "Open the link that the server printed in the terminal: it contains the token.",
  refused_because: (code: string) => `The server refused this token (${code}). Open the link that it printed most recently.`,
  budget_of: (spent: string, limit: string) => `${spent} of ${limit}`,
  left: (amount: string) => `${amount} left`,
  over: (amount: string) => `${amount} over`,
  day: "day",
  month: "month",
  alert: (budget: string, threshold: string, limit: string) => `${budget}: ${threshold} of ${limit} spent`,
  dismiss: "Dismiss",
  reversal: "Reversal",
  adjustment: "Correction",
  alert_kind: "Budget alert",
  coffee: "Coffee",
  noodles: "Noodles",
  buy: "Buy",
  not_bought: "Could not reach the server. Trying again.",
  budget_line: (limit: string) => `Budget ${limit}`,
  chart_of_day: (amount: string, from: string, to: string) => `Today's total over time: ${amount} so far, from ${from} to ${to}`,
  chart_of_days: (days: string) => `The total of each of the last ${days} days`,
  about_data:
    "These are real purchases, made from January 1997 to June 1998 at CDNOW, an early music shop on the web. The demo replays them as if they happened now; the original dates are in the descriptions. The 2,357 customers are grouped into 12 accounts, so that each account changes every few seconds, and a purchase's category is derived from the number of discs. After the last purchase the demo starts over.",
  about_source: "Data collected by Peter Fader and Bruce Hardie, taken from the Python package Lifetimes 0.11.3 (MIT).",

  lanes_about: "One account, followed over seven transports at once, each on its own connection. All of them must always show the same, including after every disconnection.",
  lanes_agreed: (offset: string) => `All seven show entry ${offset}`,
  lanes_behind: (offset: string, lanes: string) => `${lanes} of seven show entry ${offset} so far`,
  lanes_cut_all: "Cut all",
  lanes_resume_all: "Resume all",
  lanes_cut_it: "Cut",
  lanes_resume: "Resume",
  lanes_cut: "Cut off",
  lanes_resting: "Paused",
  lanes_retrying: (seconds: string) => `Retrying in ${seconds} s`,
  lanes_entry: (offset: string) => `today, as of entry ${offset}`,
  lanes_gap: (entries: string) => `Gap: entry ${entries} is missing`,
  lanes_refused: (code: string) => `Refused: ${code}`,
  lanes_missed: "missed",
  lanes_missed_nothing: "Reconnected, nothing missed",
  lanes_caught_up: (count: string, entries: number) => `Caught up on ${count} ${entries === 1 ? "entry" : "entries"}, nothing lost`,
  lanes_snapshot: (reason: string) => `New snapshot (${reason})`,
  lanes_told: (lane: string, what: string) => `${lane}: ${what}`,
  lanes_delay: "Delay",
  lanes_delays: (last: string, median: string) => `${last}, median ${median}`,
  lanes_requests: "Requests",
  lanes_bytes: "Received",
  lanes_compared: "What each transport costs",
  lanes_median: "Median delay",
  lanes_bytes_each: "Received per entry",
  lanes_requests_each: "Requests per entry",
  lanes_counted_title: "How this is measured",
  lanes_counted:
    "Delay: from the recording in the ledger to the arrival on this page; the median covers the last 50 live entries. Received: for finished HTTP requests, what the browser measures (the body, plus 300 bytes for headers); for streams and WebSockets, the messages in UTF-8, including Socket.IO's pings, but without what browsers hide. Per entry: excluding the opening of the connection and its snapshot.",
  lanes_ways: {
    "socketio-websocket": { name: "Socket.IO over WebSocket", short: "Socket.IO, WebSocket", about: "The stock client. Recommended for apps." },
    "socketio-polling": { name: "Socket.IO over long polling", short: "Socket.IO, polling", about: "The stock client, for networks whose proxy blocks WebSockets." },
    websocket: { name: "WebSocket", short: "WebSocket", about: "The browser's own WebSocket: one JSON message per frame." },
    sse: { name: "Server-Sent Events", short: "SSE", about: "The browser's own EventSource: one long response." },
    "long-poll": { name: "Long polling", short: "Long polling", about: "Each request waits until there is something new." },
    "short-poll": { name: "Short polling", short: "Short polling", about: "Asks every three seconds whether there is anything new." },
    iframe: { name: "Iframe", short: "Iframe", about: "A hidden page that never finishes loading and calls this one." },
  },
};

const zh: typeof en = {
  skip: "跳到数据",
  views: "视图",
  my_consumption: "我的消费",
  every_way: "所有方式并排",
  account: "账户",
  language: "语言",
  meters: "计量项目",
  today: "今天",
  this_month: "本月",
  budgets: "预算",
  by_category: "分类",
  last_entries: "最近记录",
  no_entries: "还没有记录。一有消费，这里立刻显示。",
  entries_counted: (count) => `${count} 笔`,
  other: "其他",
  connecting: "连接中",
  catching_up: "正在补齐",
  live: "实时",
  stale: "重新连接中",
  offline: "离线",
  refused: "被拒绝",
  updated: (ago) => `${ago}更新`,
  updated_now: "刚刚更新",
  as_of: (time) => `截至 ${time}`,
  open_link: "请打开服务器在终端里打印的链接，令牌在链接中。",
  refused_because: (code) => `服务器拒绝了这个令牌（${code}）。请打开它现在打印的链接。`,
  budget_of: (spent, limit) => `${spent} / ${limit}`,
  left: (amount) => `还剩 ${amount}`,
  over: (amount) => `超出 ${amount}`,
  day: "日",
  month: "月",
  alert: (budget, threshold, limit) => `${budget}：已用 ${limit} 的 ${threshold}`,
  dismiss: "关闭",
  reversal: "已撤销",
  adjustment: "更正",
  alert_kind: "预算提醒",
  coffee: "咖啡",
  noodles: "面条",
  buy: "买",
  not_bought: "没有送达服务器，正在重试。",
  budget_line: (limit) => `预算 ${limit}`,
  chart_of_day: (amount, from, to) => `今天的累计消费，目前 ${amount}，${from} 到 ${to}`,
  chart_of_days: (days) => `最近 ${days} 天每天的消费`,
  about_data:
    "这些是真实的购买记录：1997 年 1 月至 1998 年 6 月，早期网上音乐商店 CDNOW。演示把它们当作现在发生的来重放，原来的日期写在说明里。2,357 位顾客合并成 12 个账户，好让每个账户每隔几秒就有变化；分类由唱片张数得出。放完之后从头再来。",
  about_source: "数据由 Peter Fader 与 Bruce Hardie 收集，取自 Python 包 Lifetimes 0.11.3（MIT）。",

  lanes_about: "同一个账户，同时用七种方式关注，各有各的连接：任何时候，每次断开之后，显示的都必须一样。",
  lanes_agreed: (offset) => `七种方式都显示到第 ${offset} 条`,
  lanes_behind: (offset, lanes) => `七种方式中已有 ${lanes} 种显示第 ${offset} 条`,
  lanes_cut_all: "全部断开",
  lanes_resume_all: "全部恢复",
  lanes_cut_it: "断开",
  lanes_resume: "恢复",
  lanes_cut: "已断开",
  lanes_resting: "休息中",
  lanes_retrying: (seconds) => `${seconds} 秒后重试`,
  lanes_entry: (offset) => `今天，截至第 ${offset} 条`,
  lanes_gap: (entries) => `出现缺口：第 ${entries} 条没有按顺序到达`,
  lanes_refused: (code) => `被拒绝：${code}`,
  lanes_missed: "补上",
  lanes_missed_nothing: "已恢复，没有遗漏",
  lanes_caught_up: (count) => `补上了 ${count} 条，一条不少`,
  lanes_snapshot: (reason) => `全新的快照（${reason}）`,
  lanes_told: (lane, what) => `${lane}：${what}`,
  lanes_delay: "延迟",
  lanes_delays: (last, median) => `${last}，中位数 ${median}`,
  lanes_requests: "请求数",
  lanes_bytes: "接收",
  lanes_compared: "每种方式的代价",
  lanes_median: "延迟中位数",
  lanes_bytes_each: "每条接收",
  lanes_requests_each: "每条请求数",
  lanes_counted_title: "如何计量",
  lanes_counted:
    "延迟：从账本记录到本页显示；中位数取最近 50 条实时记录。接收：已完成的 HTTP 请求按浏览器的测量（正文，加 300 字节的头部）；流和 WebSocket 按消息的 UTF-8 字节，包括 Socket.IO 的 ping，不包括浏览器隐藏的部分。每条：不含打开连接和最初的快照。",
  lanes_ways: {
    "socketio-websocket": { name: "Socket.IO，WebSocket", short: "Socket.IO, WebSocket", about: "标准客户端，应用首选。" },
    "socketio-polling": { name: "Socket.IO，长轮询", short: "Socket.IO，长轮询", about: "标准客户端，代理不让 WebSocket 通过时用它。" },
    websocket: { name: "WebSocket", short: "WebSocket", about: "浏览器自带，每帧一条 JSON 消息。" },
    sse: { name: "Server-Sent Events", short: "SSE", about: "浏览器自带的 EventSource：一个不结束的响应。" },
    "long-poll": { name: "长轮询", short: "长轮询", about: "请求一直等到有消息才得到回答。" },
    "short-poll": { name: "短轮询", short: "短轮询", about: "每三秒问一次：有新的吗？" },
    iframe: { name: "Iframe", short: "Iframe", about: "一个隐藏的、不结束的页面，调用本页的函数。" },
  },
};

const LANGUAGES = { en, zh };
export type Language = keyof typeof LANGUAGES;
export type Word = { [W in keyof typeof en]: (typeof en)[W] extends string ? W : never }[keyof typeof en];

const KEY = "tallycast-language";
const isLanguage = (text: unknown): text is Language => text === "en" || text === "zh";

function first(): Language {
  const kept = localStorage.getItem(KEY);
  if (isLanguage(kept)) return kept;
  return navigator.languages.map((tag) => tag.slice(0, 2)).find(isLanguage) ?? "en";
}

let language = first();

/** The texts in the reader's language. */
export const words = (): typeof en => LANGUAGES[language];

export const currentLanguage = (): Language => language;

/** For `Intl`: the browser's own variant of the language, if it has one. */
export const locale = (): string => navigator.languages.find((tag) => tag.startsWith(language)) ?? language;

export function speak(next: Language): void {
  language = next;
  localStorage.setItem(KEY, next);
  translate();
}

/** Fills in the elements that `index.html` marks: `data-word` for visible texts, `data-label` for labels that screen readers read aloud. */
export function translate(root: ParentNode = document): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  for (const element of root.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = words()[element.dataset.word as Word];
  }
  for (const element of root.querySelectorAll<HTMLElement>("[data-label]")) {
    element.setAttribute("aria-label", words()[element.dataset.label as Word]);
  }
}
