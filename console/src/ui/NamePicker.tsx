import { CloseButton, Combobox, InputBase, Loader, useCombobox } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { question, type Shapes } from "../api/client";
import { useName } from "../api/names";

type Kind = Shapes["Named"]["kind"];

const PATHS = {
  campaign: "/api/campaigns",
  buyer: "/api/buyers",
  offer: "/api/offers",
  publisher: "/api/publishers",
} as const;

interface NamePickerProps {
  kind: keyof typeof PATHS & Kind;
  label: string;
  value: string | undefined;
  onChange: (id: string | undefined) => void;
  placeholder?: string;
}

/** Chooses one record by a part of its name. */
export function NamePicker(props: NamePickerProps) {
  const box = useCombobox({ onDropdownClose: () => setWanted("") });
  const [wanted, setWanted] = useState("");
  const [search] = useDebouncedValue(wanted, 150);
  const chosen = useName(props.value);
  const { data, isFetching } = useQuery({
    ...question(PATHS[props.kind], { params: { query: { limit: 20, ...(search === "" ? {} : { search }) } } }),
    enabled: box.dropdownOpened,
    placeholderData: keepPreviousData,
  });
  const found = data?.items ?? [];
  return (
    <Combobox
      store={box}
      shadow="md"
      onOptionSubmit={(id) => {
        props.onChange(id);
        box.closeDropdown();
      }}
    >
      <Combobox.Target withExpandedAttribute>
        <InputBase
          role="combobox"
          size="sm"
          aria-label={props.label}
          placeholder={props.placeholder ?? props.label}
          value={box.dropdownOpened ? wanted : props.value === undefined ? "" : (chosen ?? "…")}
          onChange={(event) => {
            setWanted(event.currentTarget.value);
            box.openDropdown();
            box.selectFirstOption();
          }}
          onClick={() => box.openDropdown()}
          onFocus={() => box.openDropdown()}
          onBlur={() => box.closeDropdown()}
          rightSectionPointerEvents="auto"
          rightSection={
            props.value !== undefined ? (
              <CloseButton size="sm" aria-label={`Any ${props.label.toLowerCase()}`} onClick={() => props.onChange(undefined)} />
            ) : isFetching ? (
              <Loader size={14} />
            ) : (
              <Combobox.Chevron />
            )
          }
        />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Options mah={260} style={{ overflowY: "auto" }} aria-label={props.label}>
          {found.map((one) => (
            <Combobox.Option key={one.id} value={one.id}>
              {one.document.name}
            </Combobox.Option>
          ))}
          {found.length === 0 && !isFetching && <Combobox.Empty>Nothing is called that</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
