// What a dashboard may hold, by Grafana's own types. They are written for TypeScript, where enums
// are names; JSON has their values. Panels are told apart by their type, so that the options and
// field options of each are checked as well.

import type {
  Dashboard,
  FieldConfig,
  HideableFieldConfig,
  MatcherConfig,
  Panel,
  RowPanel,
} from "@grafana/schema";
import type * as BarChart from "@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen";
import type * as Geomap from "@grafana/schema/dist/esm/raw/composable/geomap/panelcfg/x/GeomapPanelCfg_types.gen";
import type * as Stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as Table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as TimeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type { Dashboard as Dashboard11, TableFieldOptions as TableField11 } from "grafana-schema-11";
import type { Dashboard as Dashboard12 } from "grafana-schema-12";

/** The same with the values of enums in place of the enums. */
type Plain<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}`
      ? N
      : T
    : T extends ReadonlyArray<infer E>
      ? Array<Plain<E>>
      : T extends object
        ? { [K in keyof T]: Plain<T[K]> }
        : T;

type Query = {
  datasource: { type: "grafana-postgresql-datasource"; uid: "fenghuo" };
  editorMode: "code";
  format: "table" | "time_series";
  rawQuery: true;
  rawSql: string;
  refId: string;
};

/** Names of what an override may change. */
type Changed<Field> = Exclude<keyof FieldConfig, "custom"> | `custom.${keyof Field & string}`;

type PanelOf<Type extends string, Options, Field> = Plain<
  Omit<Panel, "type" | "options" | "fieldConfig" | "targets">
> & {
  type: Type;
  title: string;
  description: string;
  options: Plain<Options>;
  fieldConfig: {
    defaults: Plain<Omit<FieldConfig, "custom">> & { custom?: Partial<Plain<Field>> };
    overrides: Array<{
      matcher: Plain<MatcherConfig>;
      properties: Array<{ id: Changed<Field>; value?: unknown }>;
    }>;
  };
  targets: Query[];
};

type Checked =
  | PanelOf<"barchart", BarChart.Options, BarChart.FieldConfig>
  | PanelOf<"geomap", Geomap.Options, HideableFieldConfig>
  | PanelOf<"stat", Stat.Options, Record<string, never>>
  | PanelOf<"table", Table.Options, Table.FieldConfig & Pick<TableField11, "hidden">>
  | PanelOf<"timeseries", TimeSeries.Options, TimeSeries.FieldConfig>
  | Plain<RowPanel>;

type Variable = Plain<NonNullable<NonNullable<Dashboard["templating"]>["list"]>[number]>;

type Annotation = Plain<
  Omit<NonNullable<NonNullable<Dashboard["annotations"]>["list"]>[number], "target">
> & { target: Query | { limit: number; matchAny: boolean; tags: string[]; type: string; refId: string } };

export type CheckedDashboard = Omit<
  Plain<Dashboard>,
  "panels" | "templating" | "annotations"
> & {
  uid: string;
  title: string;
  description: string;
  panels: Checked[];
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
};

/** Earlier versions; they leave options of panels and targets of annotations open. */
export type Dashboard11Json = Omit<Plain<Dashboard11>, "annotations"> & { annotations: unknown };
export type Dashboard12Json = Omit<Plain<Dashboard12>, "annotations"> & { annotations: unknown };
