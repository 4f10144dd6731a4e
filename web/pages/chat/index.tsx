export default function Chat() {
  return (
    <div class="view">
      <h1>Chat</h1>
    </div>
  );
}
