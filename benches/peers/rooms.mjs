// Rooms, for servers that have none of their own.

/** The account that a watcher asks for: `/?account=a-0`. */
export const account = (url) => new URL(url, "http://localhost").searchParams.get("account");

export class Rooms {
  #sockets = new Map();

  join(room, socket) {
    if (!this.#sockets.has(room)) this.#sockets.set(room, new Set());
    this.#sockets.get(room).add(socket);
  }

  leave(room, socket) {
    this.#sockets.get(room)?.delete(socket);
  }

  each(room, send) {
    this.#sockets.get(room)?.forEach(send);
  }
}
