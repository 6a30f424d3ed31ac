/** The page begins here. */
import {
  createDOMRenderer,
  FluentProvider,
  RendererProvider,
  webDarkTheme,
  webLightTheme,
} from "@fluentui/react-components";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { NowProvider } from "./moment.tsx";

const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");

function subscribe(changed: () => void): () => void {
  darkQuery.addEventListener("change", changed);
  return () => darkQuery.removeEventListener("change", changed);
}

/** One try: whether the server answers is shown, and the stream of events says when to ask again. */
const client = new QueryClient({
  defaultOptions: { queries: { retry: false, networkMode: "always" }, mutations: { networkMode: "always" } },
});
const renderer = createDOMRenderer(document);

function Page() {
  const dark = useSyncExternalStore(subscribe, () => darkQuery.matches);
  return (
    <RendererProvider renderer={renderer}>
      <FluentProvider theme={dark ? webDarkTheme : webLightTheme} style={{ background: "transparent" }}>
        <QueryClientProvider client={client}>
          <NowProvider>
            <App />
          </NowProvider>
        </QueryClientProvider>
      </FluentProvider>
    </RendererProvider>
  );
}

// A sign-in link that no longer works is answered with this page under the link's own address, which has no place in the history.
const linkRefused = location.pathname === "/v1/sign-in";
if (linkRefused) history.replaceState({ linkRefused }, "", "/");
// Whom a provider of OpenID Connect sent back, and the server did not let in, comes with the code of why.
const refused = new URLSearchParams(location.search).get("refused");
if (refused !== null) history.replaceState({ refused }, "", "/");

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no place for the page");
createRoot(root).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
