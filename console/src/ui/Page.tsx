import { Title } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import classes from "./Page.module.css";

interface PageProps {
  title: ReactNode;
  /** The document's title, where `title` is no text. */
  name?: string;
  /** What the page belongs to: `{to: "/calls", label: "Calls"}`. */
  above?: { to: string; label: string };
  /** Beside the title. */
  note?: ReactNode;
  actions?: ReactNode;
  /** Under the title: filters or tabs. */
  bar?: ReactNode;
  /** The content has the rest of the window and scrolls itself, as a table does. */
  fill?: boolean;
  /** The content is not wider than text and forms should be. */
  narrow?: boolean;
  children: ReactNode;
}

/** One page: its title, what can be done, and the content. */
export function Page(props: PageProps) {
  const name = props.name ?? (typeof props.title === "string" ? props.title : "");
  useEffect(() => {
    document.title = name === "" ? "CallMatrix" : `${name} · CallMatrix`;
  }, [name]);
  return (
    <div className={classes.page} data-fill={props.fill === true || undefined}>
      <header className={classes.head}>
        <div className={classes.top}>
          <div className={classes.heading}>
            {props.above !== undefined && (
              <nav className={classes.above} aria-label="Breadcrumb">
                <Link to={props.above.to}>{props.above.label}</Link>
                <IconChevronRight size={14} aria-hidden />
              </nav>
            )}
            <Title order={1} className={classes.title}>
              {props.title}
            </Title>
            {props.note}
          </div>
          {props.actions !== undefined && <div className={classes.actions}>{props.actions}</div>}
        </div>
        {props.bar !== undefined && <div className={classes.bar}>{props.bar}</div>}
      </header>
      <div className={classes.body} data-narrow={props.narrow === true || undefined}>
        {props.children}
      </div>
    </div>
  );
}
