/** Every word of the page. A text with something in it is a function. */
const en = {
  skip: "Skip to the figures",
  views: "Views",
  my_consumption: "My consumption",
  every_way: "Every way at once",
  account: "Account",
  language: "Language",
  meters: "What is counted",
  today: "Today",
  this_month: "This month",
  budgets: "Budgets",
  by_category: "By category",
  last_entries: "Last entries",
  no_entries: "Nothing yet. It shows here the moment it happens.",
  entries_counted: (count: string) => `${count} ${count === "1" ? "entry" : "entries"}`,
  other: "other",
  connecting: "Connecting",
  catching_up: "Catching up",
  live: "Live",
  stale: "Connecting again",
  offline: "Offline",
  refused: "Refused",
  updated: (ago: string) => `Updated ${ago}`,
  updated_now: "Updated just now",
  as_of: (time: string) => `As of ${time}`,
  open_link: "Open the link that the server printed in its terminal: it holds the token.",
  refused_because: (code: string) => `The server refuses this token (${code}). Open the link that it prints now.`,
  budget_of: (spent: string, limit: string) => `${spent} of ${limit}`,
  left: (amount: string) => `${amount} left`,
  over: (amount: string) => `${amount} over`,
  day: "day",
  month: "month",
  alert: (budget: string, threshold: string, limit: string) => `${budget}: ${threshold} of ${limit} is spent`,
  dismiss: "Dismiss",
  reversal: "Taken back",
  adjustment: "Correction",
  alert_kind: "Budget alert",
  coffee: "Coffee",
  noodles: "Noodles",
  buy: "Buy",
  not_bought: "That did not reach the server. It is tried again.",
  budget_line: (limit: string) => `Budget ${limit}`,
  chart_of_day: (amount: string, from: string, to: string) => `Today's sum over the day, ${amount} by now, from ${from} to ${to}`,
  chart_of_days: (days: string) => `What each of the last ${days} days came to`,
  about_data:
    "These are real purchases, made from January 1997 to June 1998 at CDNOW, an early music shop on the web. The demo replays them as of now: their own times are in the descriptions. The 2,357 customers are folded into 12 accounts, so that each of them moves every few seconds, and a purchase's category is made from the number of discs. After the last purchase it starts again.",
  about_source: "Data collected by Peter Fader and Bruce Hardie, taken from the Python package Lifetimes 0.11.3 (MIT).",
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

/** The words in the reader's language. */
export const words = (): typeof en => LANGUAGES[language];

export const currentLanguage = (): Language => language;

/** For `Intl`: the browser's own flavour of the language, where it has one. */
export const locale = (): string => navigator.languages.find((tag) => tag.startsWith(language)) ?? language;

export function speak(next: Language): void {
  language = next;
  localStorage.setItem(KEY, next);
  translate();
}

/** Puts the words into what `index.html` marks: `data-word` for texts, `data-label` for names that are read aloud. */
export function translate(root: ParentNode = document): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  for (const element of root.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = words()[element.dataset.word as Word];
  }
  for (const element of root.querySelectorAll<HTMLElement>("[data-label]")) {
    element.setAttribute("aria-label", words()[element.dataset.label as Word]);
  }
}
