-- Which cluster's transaction ids the outbox is ordered by: a dump brings rows with those of another one.

create table outbox_origin (
    only_one boolean primary key default true check (only_one),
    cluster  text not null
);
