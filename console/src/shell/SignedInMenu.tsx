import { Avatar, Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { IconBook, IconDeviceDesktop, IconLogout, IconMoon, IconSelector, IconSun, IconUserCircle } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { act } from "../api/client";
import { useLiveState } from "../api/live";
import { me, useAccount, useMe } from "../api/session";
import { instant, words } from "../ui/format";
import { Status } from "../ui/Values";
import classes from "./Shell.module.css";

const SCHEMES = [
  { value: "light", label: "Light", icon: IconSun },
  { value: "dark", label: "Dark", icon: IconMoon },
  { value: "auto", label: "As the system", icon: IconDeviceDesktop },
] as const;

/** The account with its zone and time, and who is signed in, with what is theirs to set. */
export function SignedInMenu() {
  const { name, role } = useMe();
  const account = useAccount();
  const live = useLiveState();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const signOut = async () => {
    await act("post", "/api/sign-out").catch(() => undefined);
    await navigate({ to: "/sign-in" });
    cache.clear();
    cache.setQueryData(me.queryKey, null);
  };
  return (
    <div className={classes.who}>
      <div className={classes.zone}>
        <Clock zone={account.timeZone} />
        <Status tone={live === "live" ? "good" : "warn"}>{live === "live" ? "Live" : "Connecting"}</Status>
      </div>
      <Menu position="top-start" width={228}>
        <Menu.Target>
          <UnstyledButton className={classes.account}>
            <Avatar size={28} radius="md" color="indigo" variant="filled" aria-hidden>
              {account.name.slice(0, 1).toUpperCase()}
            </Avatar>
            <span className={classes.names}>
              <span className="cm-clip">{account.name}</span>
              <span className={`cm-clip ${classes.role}`}>
                {name} · {words(role)}
              </span>
            </span>
            <IconSelector size={15} aria-hidden />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.RadioGroup value={colorScheme} onChange={(value) => setColorScheme(value as typeof colorScheme)}>
            {SCHEMES.map(({ value, label, icon: Icon }) => (
              <Menu.RadioItem key={value} value={value} rightSection={<Icon size={15} />}>
                {label}
              </Menu.RadioItem>
            ))}
          </Menu.RadioGroup>
          <Menu.Divider />
          <Menu.Item leftSection={<IconUserCircle size={16} />} component={Link} to="/me">
            Your sign-in
          </Menu.Item>
          <Menu.Item leftSection={<IconBook size={16} />} component="a" href="/docs" target="_blank" rel="noopener">
            The API's reference
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

/** The time of now in the account's zone, so that nobody wonders which time is meant. */
function Clock({ zone }: { zone: string }) {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="cm-clip" title="The account's time zone">
      <time dateTime={now.toISOString()}>{instant(now, zone, "minute")}</time> {zone.replaceAll("_", " ")}
    </span>
  );
}
