// Types that `docs/clients/react-native.md` uses from packages that are too large to install only for the compiler.
declare module "react-native" {
  import type { ComponentType, ReactNode } from "react";

  export const Text: ComponentType<{ children?: ReactNode }>;
  export const View: ComponentType<{ children?: ReactNode; style?: { opacity?: number } }>;
  export const AppState: {
    addEventListener(event: "change", listener: (state: "active" | "background" | "inactive") => void): { remove(): void };
  };
}

declare module "react-native-mmkv" {
  export function createMMKV(configuration: { id: string }): {
    getString(key: string): string | undefined;
    set(key: string, value: boolean | string | number | ArrayBuffer): void;
  };
}

declare module "@react-native-async-storage/async-storage" {
  export function createAsyncStorage(databaseName: string): {
    getItem(key: string): Promise<string | null>;
    setItem(key: string, value: string): Promise<void>;
  };
}
