// What is on the screen: nothing yet, set-up or sign-in, or the pages inside their frame.
import { lazy, Suspense } from "react";
import { Redirect, Route, Switch } from "wouter";
import { AlertsPage } from "../pages/alerts/AlertsPage";
import { BackupsPage } from "../pages/BackupsPage";
import { RetentionPage } from "../pages/RetentionPage";
import { CustomersPage } from "../pages/CustomersPage";
import { EffectsPage } from "../pages/EffectsPage";
import { IncidentPage } from "../pages/incidents/IncidentPage";
import { IncidentsPage } from "../pages/incidents/IncidentsPage";
import { IntegrityPage } from "../pages/IntegrityPage";
import { OverviewPage } from "../pages/OverviewPage";
import { PrivacyPage } from "../pages/PrivacyPage";
import { RulesPage } from "../pages/rules/RulesPage";
import { SignInPage } from "../pages/SignInPage";
import { SourcesPage } from "../pages/SourcesPage";
import { ErrorNote, Loading, NotFound } from "../ui/notes";
import { ErrorBoundary } from "./ErrorBoundary";
import { AsOfProvider } from "./AsOf";
import { Frame } from "./Frame";
import { LiveProvider } from "./live";
import { SignedProvider, useSessionQuery } from "./session";

// The editor of query bar and rules is a third of the code; who starts on Alerts need not wait for it.
const SearchPage = lazy(() => import("../pages/search/SearchPage").then((page) => ({ default: page.SearchPage })));
const RuleEditor = lazy(() => import("../pages/rules/RuleEditor").then((page) => ({ default: page.RuleEditor })));

function Pages() {
  return (
    <Suspense fallback={<Loading />}>
      <Switch>
        <Route path="/" component={OverviewPage} />
        <Route path="/search" component={SearchPage} />
        <Route path="/alerts" component={AlertsPage} />
        <Route path="/alerts/:id" component={AlertsPage} />
        <Route path="/incidents" component={IncidentsPage} />
        <Route path="/incidents/:id" component={IncidentPage} />
        <Route path="/effects" component={EffectsPage} />
        <Route path="/integrity" component={IntegrityPage} />
        <Route path="/backups" component={BackupsPage} />
        <Route path="/retention" component={RetentionPage} />
        <Route path="/sources" component={SourcesPage} />
        <Route path="/rules" component={RulesPage} />
        <Route path="/rules/edit" component={RuleEditor} />
        <Route path="/rules/:id" component={RulesPage} />
        <Route path="/customers" component={CustomersPage} />
        <Route path="/privacy" component={PrivacyPage} />
        <Route path="/overview">
          <Redirect to="/" />
        </Route>
        <Route component={NotFound} />
      </Switch>
    </Suspense>
  );
}

export function App() {
  const session = useSessionQuery();
  if (session.isPending) return <Loading full />;
  if (session.isError) return <ErrorNote error={session.error} retry={() => void session.refetch()} full />;
  if (!session.data) return <SignInPage />;
  return (
    <SignedProvider session={session.data}>
      <LiveProvider>
        <AsOfProvider>
          <Frame>
            <ErrorBoundary>
              <Pages />
            </ErrorBoundary>
          </Frame>
        </AsOfProvider>
      </LiveProvider>
    </SignedProvider>
  );
}
